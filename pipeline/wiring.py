"""The only file that picks adapters: settings become clients, clients become what the runtimes use."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipeline.grouping.grouper import STACKS
from pipeline.model.errors import RetryableError, SettingsError
from pipeline.observability import metric_defs
from pipeline.observability.prometheus_metrics import WorkerMetrics
from pipeline.quotas.ledger import Ledger, Polled
from pipeline.quotas.redis_ledger import RedisLedger
from pipeline.quotas.uncounted import UncountedLedger
from pipeline.redis.client import connect, reaching_redis
from pipeline.redis.embedded import EmbeddedRedis
from pipeline.rules.folder import RulesFolder
from pipeline.rules.snapshot import Rules
from pipeline.runtimes.loop import Worker
from pipeline.settings.schema import Settings
from pipeline.sourcemaps.artifacts import Artifacts
from pipeline.sourcemaps.opening import open_artifacts
from pipeline.stages.contract import Context, Limits

log = logging.getLogger(__name__)


@contextmanager
def replay_ledger(settings: Settings) -> Iterator[tuple[Ledger, Callable[[], None]]]:
    """Give a replay a ledger of its own, and what says that its Redis is gone for good: its keys go with the run.

    Raises NoRedisError.
    """
    if settings.redis.url is not None:
        with _own_keys(settings, settings.redis.url) as ledger:
            yield ledger, lambda: None
        return
    with EmbeddedRedis() as server, _own_keys(settings, server.url) as ledger:
        yield ledger, server.check


@contextmanager
def _own_keys(settings: Settings, url: str) -> Iterator[Ledger]:
    # Nothing is remembered of limits that are used up: what a duplicate is refused for must not depend on the batch's size.
    ledger = redis_ledger(settings, url, prefix=f"replay:{secrets.token_hex(8)}:", remember_s=0)
    try:
        yield ledger
    finally:
        try:
            with reaching_redis():
                ledger.remove_all()
        except RetryableError as error:
            log.warning("the run's keys stay in Redis: %s", error)


def redis_ledger(settings: Settings, url: str | None, prefix: str = "", *, remember_s: float = 1.0) -> RedisLedger:
    """Connect the ledger to a Redis. For `remember_s` it does not ask again for a limit that is used up. Raises SettingsError."""
    return RedisLedger(
        connect(url, settings.redis.timeout_s),
        prefix=prefix,
        on_unavailable=settings.quotas.on_unavailable,
        duplicates=settings.quotas.duplicates,
        duplicate_window_s=settings.quotas.duplicate_window_s,
        ledger_s=settings.quotas.ledger_s,
        late_s=settings.quotas.late_s,
        remember_s=remember_s,
    )


def artifacts(settings: Settings) -> Artifacts | None:
    """Open the artifact store; None where none is configured, and symbolication is off."""
    return open_artifacts(settings.artifacts) if settings.artifacts.url is not None else None


def _limits(settings: Settings) -> Limits:
    return Limits(
        max_record_bytes=settings.input.max_record_bytes,
        unknown_projects=settings.input.unknown_projects,
        max_output_bytes=settings.kafka.max_output_bytes,
    )


def replay_context(settings: Settings, rules: Rules, ledger: Ledger, *, now: float) -> Callable[[tuple[Polled, ...]], Context]:
    """Give the maker of a batch's context for a run with one clock reading and one version of the rules."""
    store = artifacts(settings)
    limits = _limits(settings)

    def context(polled: tuple[Polled, ...] = ()) -> Context:
        return Context(now=now, rules=rules, ledger=ledger, artifacts=store, polled=polled, limits=limits)

    return context


def replay_batch_records(settings: Settings, rules: Rules) -> int:
    """Give how many records a replay handles together.

    Where a quota gives back, what comes later in the same batch cannot use it: one by one, or the batch's size would show in what
    is stored. That costs some millisecond an event.
    """
    return 1 if any(quota.gives_back for quota in rules.all_quotas()) else settings.batch.max_records


def make_worker(settings: Settings, rules: RulesFolder, metrics: WorkerMetrics) -> Worker:
    """Make a worker on Kafka and Redis. Raises SettingsError without a Redis, and for static membership without a slot."""
    from pipeline.kafka.consumer import KafkaSource  # noqa: PLC0415 -- likewise
    from pipeline.kafka.producer import KafkaSink  # noqa: PLC0415 -- a replay starts without Kafka's client

    if settings.kafka.static_membership and settings.kafka.slot is None:
        raise SettingsError("kafka.static_membership needs kafka.slot (PIPELINE_SLOT): the group remembers a worker by it")
    ledger = redis_ledger(settings, settings.redis.url)
    source = KafkaSource(settings, on_revoke=lambda _: ledger.forget())
    store = artifacts(settings)
    context = worker_context(settings, rules, ledger, store)
    sink = KafkaSink(settings.kafka)
    return Worker(settings, source, sink, context, metrics, watch=lambda: _watch(metrics, ledger, store), check=ledger.check)


def _watch(metrics: WorkerMetrics, ledger: RedisLedger, store: Artifacts | None) -> None:
    """Bring the counters up to what the ledger and the memories keep by themselves."""
    metrics.totals(metric_defs.DATA_LOSSES, {(): ledger.losses})
    metrics.totals(metric_defs.UNCOUNTED, {(): ledger.uncounted})
    lookups = {("stacks", "hit"): STACKS.hits, ("stacks", "miss"): STACKS.misses}
    if store is not None:
        lookups |= {("modules", "hit"): store.hits, ("modules", "miss"): store.misses}
        counts = store.frame_counts()
        frames = {(str(key.project_id), key.release, "yes" if key.is_resolved else "no"): count for key, count in counts.items()}
        metrics.totals(metric_defs.FRAMES, frames)
    metrics.totals(metric_defs.CACHE_LOOKUPS, lookups)


def worker_context(
    settings: Settings, rules: RulesFolder, ledger: Ledger, store: Artifacts | None
) -> Callable[[tuple[Polled, ...]], Context]:
    """Give the maker of a batch's context: the time of the batch, and the rules in force then."""
    limits = _limits(settings)

    def context(polled: tuple[Polled, ...]) -> Context:
        return Context(now=time.time(), rules=rules.current, ledger=ledger, artifacts=store, polled=polled, limits=limits)

    return context


def explain_context(settings: Settings, rules: Rules, *, now: float) -> Context:
    """Give the context of a run that stores nothing."""
    return replay_context(settings, rules, UncountedLedger(), now=now)(())
