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


_AWAY = {
    "ASK": "the Redis cluster is moving a slot",
    "BUSY": "Redis is busy with a script that takes long; SCRIPT KILL ends it",
    "CLUSTERDOWN": "the Redis cluster is down, because some of its slots have no server",
    "FOREIGN": "",  # raised by our own scripts, whose message names the key with an unexpected value
    "LOADING": "Redis is loading its data from disk",
    "MASTERDOWN": "this Redis is a replica that has lost its primary",
    "MISCONF": "Redis cannot save its data to disk, so it takes no writes; its log says why",
    "MOVED": "the Redis cluster has moved a slot",
    "NOPERM": "the Redis user lacks a right",
    "NOREPLICAS": "fewer replicas of Redis are connected than its min-replicas-to-write asks for",
    "NOSCRIPT": "Redis does not know the script",
    "OOM": "Redis has used up its memory (maxmemory) and takes no writes; give it more, or find out what fills it",
    "READONLY": "this Redis is a read-only replica; connect to the primary",
    "Script killed": "somebody has ended the script",  # Redis ends only scripts that have written nothing
    "TRYAGAIN": "the Redis cluster is moving a slot",
}
"""Codes of errors that go away by waiting or by an operator's work, and what each means."""
_CODE = re.compile(r"(?:Error running script \(call to \w+\): )?(?:@?user_script: ?\d+: )*-?([A-Z]+\b|Script killed) ?")
"""Finds the code of an error. Before version 7, Redis wraps the error of a command that a script ran."""
_SCRIPT = re.compile(r" ?script: \w+, on @user_script:\d+\.?$")
"""What Redis adds to the error of a script from version 7 on."""
_OF_THE_CALL = re.compile(
    r"WRONGTYPE|wrong number of arguments|Keys in request|.*(?:user_script|Error (?:running|compiling) script)"
)
"""Errors about a script, its arguments or its keys. Any other error is about the connection, as `DB index is out of range` is."""


@contextmanager
def reaching_redis() -> Iterator[None]:
    """Turn an error that may go away into RetryableError: Redis is away, slow, full, loading, a replica, ...

    An error about the call itself (a bug in a script, a key of a wrong type) stays as it is, because waiting does not help.
    """
    try:
        yield
    except (RedisError, RedisClusterException, OSError) as error:
        if not _is_away(error):
            raise
        raise RetryableError("redis", _sentence(error)) from error


@contextmanager
def expecting(what: str, key: str) -> Iterator[None]:
    """Raise RetryableError if a key does not hold what it should. The error names the key and `what` was expected in it."""
    try:
        yield
    except (ResponseError, ValueError) as error:
        if isinstance(error, ResponseError) and not str(error).startswith("WRONGTYPE"):
            raise
        raise RetryableError("redis", f"{key} holds no {what}") from error


def read_number(client: Client, key: str) -> int:
    """Return the number in a key, 0 if there is no such key. Raises RetryableError, which names the key, for any other value."""
    with expecting("number", key):
        return int(cast("bytes | None", client.get(key)) or 0)


def _is_away(error: Exception) -> bool:
    if isinstance(error, DataError):
        return False
    if not isinstance(error, ResponseError):
        return True
    return _code(error) is not None or not _OF_THE_CALL.match(str(error))


def _code(error: Exception) -> str | None:
    """Return the code of an error if it is one of `_AWAY`, else None."""
    status: str | None = getattr(error, "status_code", None)  # BusyLoadingError has it too, and is not a ResponseError
    if status in _AWAY:
        return status
    code = _CODE.match(str(error))
    return code[1] if code is not None and code[1] in _AWAY else None


def _sentence(error: Exception) -> str:
    """Return the meaning of an error, without what Redis adds about the script that raised it."""
    code = _code(error)
    if code is None:
        return f"{type(error).__name__}: {error}"
    detail = _SCRIPT.sub("", _CODE.sub("", str(error), count=1) if _CODE.match(str(error)) else str(error))
    name = code if code.isupper() else type(error).__name__
    return f"{name}: {_AWAY[code] or detail}" + (f" ({detail})" if code in {"NOPERM", "MISCONF"} else "")


def _once_more() -> Retry:
    return Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,))


def connect(url: str | None, timeout_s: float) -> Client:
    """Return a client. It connects when it is first used; the client of a cluster connects here and may raise RetryableError.

    `url` is redis://, rediss:// (TLS) or unix://. `redis+cluster://` and `rediss+cluster://` name any one node of a cluster.
    The client repeats a call once, without a pause, if the connection was closed: a server closes idle connections. A call that
    gets no answer in `timeout_s` is not repeated. Waiting is left to the caller.
    Raises SettingsError if there is no URL, or if it cannot be parsed.
    """
    if url is None:
        raise SettingsError("redis.url (PIPELINE_REDIS_URL) is needed: workers share their quotas and counts there")
    try:
        parts = urlsplit(url)
        if not parts.scheme.endswith("+cluster"):
            return redis.Redis.from_url(url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=_once_more())
        plain = urlunsplit(parts._replace(scheme=parts.scheme.removesuffix("+cluster")))
        with reaching_redis():
            return RedisCluster.from_url(plain, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=_once_more())
    except ValueError as error:
        raise SettingsError(f"redis.url: {error}") from None
