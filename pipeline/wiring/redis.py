"""The Redis that the settings name, and the ledger on it."""

from __future__ import annotations

from pipeline.quotas.redis_ledger import RedisLedger
from pipeline.redis.client import Client, connect
from pipeline.settings.schema import Settings


def connect_redis(settings: Settings) -> Client:
    """Return a client for `redis.url`. Raises SettingsError if no URL is set or the URL cannot be used."""
    return connect(settings.redis.url, settings.redis.timeout_s)


def redis_ledger(client: Client, settings: Settings, prefix: str = "", *, remember_s: float = 1.0) -> RedisLedger:
    """Return a ledger that keeps its keys under `prefix`.

    A used-up limit is remembered for `remember_s` seconds, and Redis is not asked for it meanwhile; 0 asks every time.
    """
    return RedisLedger(
        client,
        prefix=prefix,
        on_unavailable=settings.quotas.on_unavailable,
        duplicates=settings.quotas.duplicates,
        duplicate_window_s=settings.quotas.duplicate_window_s,
        ledger_s=settings.quotas.ledger_s,
        late_s=settings.quotas.late_s,
        remember_s=remember_s,
    )
