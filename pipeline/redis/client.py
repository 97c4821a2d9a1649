"""Connect to Redis, one server or a cluster."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast
from urllib.parse import urlsplit, urlunsplit

import redis
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.exceptions import DataError, RedisClusterException, RedisError, ResponseError
from redis.retry import Retry

from pipeline.model.errors import RetryableError, SettingsError

Client = redis.Redis | RedisCluster


def is_cluster(client: Client) -> bool:
    """Whether keys of different hash tags may live on different servers, so that one call cannot touch both."""
    return isinstance(client, RedisCluster)


_AWAY = frozenset(
    {
        "ASK",
        "BUSY",
        "CLUSTERDOWN",
        "FOREIGN",  # our scripts' own: a key of ours holds something else, and is named
        "LOADING",
        "MASTERDOWN",
        "MISCONF",
        "MOVED",
        "NOPERM",
        "NOREPLICAS",
        "NOSCRIPT",
        "OOM",
        "READONLY",
        "Script killed",  # by an operator, since it took long; it had written nothing
        "TRYAGAIN",
    }
)
_CODE = re.compile(r"(?:Error running script \(call to \w+\): )?(?:@?user_script: ?\d+: )*-?([A-Z]+\b|Script killed)")
"""Where the code of an error stands: before version 7 Redis wraps what a command in a script said."""
_OF_THE_CALL = re.compile(
    r"WRONGTYPE|wrong number of arguments|Keys in request|.*(?:user_script|Error (?:running|compiling) script)"
)
"""What Redis says of a script, its arguments and keys. All else is about the connection, as `DB index is out of range` is."""


@contextmanager
def reaching_redis() -> Iterator[None]:
    """Say RetryableError for whatever keeps Redis from answering: away, slow, full, a replica, loading, without the right, ...

    What Redis says of the call itself (a script's bug, a wrong type) passes as it is: waiting would not mend it.
    """
    try:
        yield
    except (RedisError, RedisClusterException, OSError) as error:
        if not _is_away(error):
            raise
        raise RetryableError("redis", f"{type(error).__name__}: {error}") from error


@contextmanager
def expecting(what: str, key: str) -> Iterator[None]:
    """Say RetryableError, as our scripts do, for a key of ours that holds something else: a person must look at it."""
    try:
        yield
    except (ResponseError, ValueError) as error:
        if isinstance(error, ResponseError) and not str(error).startswith("WRONGTYPE"):
            raise
        raise RetryableError("redis", f"{key} holds no {what}") from error


def read_number(client: Client, key: str) -> int:
    """Read a counter; 0 where there is no key. Raises RetryableError with the key's name where it holds something else."""
    with expecting("number", key):
        return int(cast("bytes | None", client.get(key)) or 0)


def _is_away(error: Exception) -> bool:
    if isinstance(error, DataError):
        return False
    if not isinstance(error, ResponseError):
        return True
    code = _CODE.match(str(error))
    return error.status_code in _AWAY or (code is not None and code[1] in _AWAY) or not _OF_THE_CALL.match(str(error))


def connect(url: str | None, timeout_s: float) -> Client:
    """Give a client. A single server is not asked before its first use; a cluster is, and may raise RetryableError.

    `url` is redis://, rediss:// (TLS) or unix://; `redis+cluster://` and `rediss+cluster://` name any node of a cluster.
    The client retries once, at once, for a connection that an idle server closed. Waiting is the runtime's business.
    Raises SettingsError where the settings name no Redis, or it cannot be told which.
    """
    if url is None:
        raise SettingsError("redis.url (PIPELINE_REDIS_URL) is needed: workers share their quotas and counts there")
    try:
        parts = urlsplit(url)
        if not parts.scheme.endswith("+cluster"):
            return redis.Redis.from_url(
                url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=Retry(NoBackoff(), 1)
            )
        plain = urlunsplit(parts._replace(scheme=parts.scheme.removesuffix("+cluster")))
        with reaching_redis():
            return RedisCluster.from_url(
                plain, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=Retry(NoBackoff(), 1)
            )
    except ValueError as error:
        raise SettingsError(f"redis.url: {error}") from None
