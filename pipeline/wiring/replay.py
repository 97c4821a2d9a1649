"""The ledger of a replay: on the configured Redis, or on a server that lives as long as the run."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipeline.model.errors import RetryableError
from pipeline.quotas.ledger import Ledger
from pipeline.redis.client import Client, connect, reaching_redis
from pipeline.redis.embedded import EmbeddedRedis
from pipeline.rules.snapshot import Rules
from pipeline.settings.schema import Settings
from pipeline.wiring.redis import connect_redis, redis_ledger

log = logging.getLogger(__name__)


@contextmanager
def replay_ledger(settings: Settings) -> Iterator[tuple[Ledger, Callable[[], None]]]:
    """Open a ledger for one run. Its keys are removed at the end.

    The second value is called while Redis does not answer. It raises GiveUpError if the run's own server has died, and does
    nothing for a configured Redis, which may come back. Raises NoRedisError if no server can be started.
    """
    if settings.redis.url is not None:
        with _run_ledger(connect_redis(settings), settings) as ledger:
            yield ledger, lambda: None
        return
    with EmbeddedRedis() as server, _run_ledger(connect(server.url, settings.redis.timeout_s), settings) as ledger:
        yield ledger, server.check


@contextmanager
def _run_ledger(client: Client, settings: Settings) -> Iterator[Ledger]:
    # Used-up limits are not remembered: the reason that a duplicate is refused for must not depend on the size of batches.
    ledger = redis_ledger(client, settings, prefix=f"replay:{secrets.token_hex(8)}:", remember_s=0)
    try:
        yield ledger
    finally:
        try:
            with reaching_redis():
                ledger.remove_all()
        except RetryableError as error:
            log.warning("the run's keys stay in Redis: %s", error)


def replay_batch_records(settings: Settings, rules: Rules) -> int:
    """Return how many records a replay handles together.

    It is 1 if a quota gives charges back: what is given back can only be used by later batches, so the
    size of larger batches would change what is stored. One record at a time costs about a millisecond more per event.
    """
    return 1 if any(quota.gives_back for quota in rules.all_quotas()) else settings.batch.max_records
