"""Connect to Redis, one server or a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import redis
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.exceptions import RedisError
from redis.retry import Retry

from pipeline.model.errors import RetryableError

Client = redis.Redis | RedisCluster


@contextmanager
def reaching_redis() -> Iterator[None]:
    """Say RetryableError for whatever keeps Redis from answering: away, slow, full, a replica, loading, no longer a cluster."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise RetryableError("redis", f"{type(error).__name__}: {error}") from error


def connect(url: str, timeout_s: float) -> Client:
    """Give a client. A single server is not asked before its first use; a cluster is, and may raise RetryableError.

    `url` is redis://, rediss:// (TLS) or unix://; `redis+cluster://` and `rediss+cluster://` name any node of a cluster.
    The client retries once, at once, for a connection that an idle server closed. Waiting is the runtime's business.
    """
    parts = urlsplit(url)
    if not parts.scheme.endswith("+cluster"):
        return redis.Redis.from_url(url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=Retry(NoBackoff(), 1))
    plain = urlunsplit(parts._replace(scheme=parts.scheme.removesuffix("+cluster")))
    with reaching_redis():
        return RedisCluster.from_url(
            plain, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=Retry(NoBackoff(), 1)
        )
