"""Puts a worker together: Kafka on both ends, Redis for the ledger, and the sources of its metrics."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.grouping.caches import GroupingCaches
from pipeline.kafka.config import transactional_id
from pipeline.kafka.consumer import KafkaConsumer
from pipeline.kafka.lag import LagWatch
from pipeline.kafka.offsets import GroupOffsets
from pipeline.kafka.producer import TransactionalProducer
from pipeline.kafka.slots import guard_slot, this_process
from pipeline.model.errors import SettingsError
from pipeline.observability import metric_defs
from pipeline.observability.prometheus_metrics import WorkerMetrics
from pipeline.quotas.redis_ledger import RedisLedger
from pipeline.rules.folder import RulesFolder
from pipeline.runtimes.dead_letter_limit import DeadLetterLimit
from pipeline.runtimes.loop import Loop
from pipeline.runtimes.worker.suspects import Supervised
from pipeline.runtimes.worker.work import StageWork, Worker
from pipeline.settings.schema import Settings
from pipeline.sourcemaps.artifacts import Artifacts
from pipeline.wiring.contexts import configured_artifacts, worker_context
from pipeline.wiring.redis import connect_redis, redis_ledger


def make_worker(settings: Settings, rules: RulesFolder, metrics: WorkerMetrics, supervised: Supervised | None = None) -> Worker:
    """Return a worker that has not started. `supervised` is None if nobody starts it again after a death.

    Raises SettingsError if no Redis is configured, or if static membership is on and the worker has no slot.
    """
    kafka = settings.kafka
    if kafka.static_membership and kafka.slot is None:
        raise SettingsError("kafka.static_membership needs kafka.slot (PIPELINE_SLOT): the group remembers a worker by it")
    ledger = redis_ledger(connect_redis(settings), settings)
    store = configured_artifacts(settings)
    work = StageWork(settings, worker_context(settings, rules, ledger, store), metrics, check=ledger.check, supervised=supervised)
    if supervised is not None:
        metrics.totals(metric_defs.WORKER_DEATHS, {(cause,): number for cause, number in supervised.suspects.totals.items()})
    me = this_process(kafka.slot) if kafka.slot else None
    guard = guard_slot(kafka, kafka.consumer_group, me).check if me else _no_guard
    source = input_consumer(settings, metrics, ledger, client_id=me.client_id if me else "", guard=guard)
    sink = TransactionalProducer(kafka, transactional_id(kafka, kafka.consumer_group), metrics.kafka_error, guard=guard)
    worker = assemble_worker(
        settings, source, work, sink, metrics, watch=lambda: _watch(metrics, ledger, store, rules.grouping_caches)
    )
    return worker._replace(redis_silent_s=ledger.silent_s)


def _no_guard() -> None:
    """Allow everything: without a slot, the transactional id is nobody else's."""


def input_consumer(
    settings: Settings,
    metrics: WorkerMetrics,
    ledger: RedisLedger,
    *,
    client_id: str = "",
    guard: Callable[[], None] = _no_guard,
) -> KafkaConsumer:
    """Return the consumer of the input topic. When a partition is taken away, the ledger forgets what it knew about it."""
    kafka = settings.kafka
    return KafkaConsumer(
        kafka,
        kafka.events_in,
        kafka.consumer_group,
        settings.batch,
        max_record_bytes=settings.input.max_record_bytes,
        on_revoke=lambda _: ledger.forget(),
        on_error=metrics.kafka_error,
        on_break=metrics.input_break,
        client_id=client_id,
        guard=guard,
    )


def assemble_worker(
    settings: Settings,
    source: KafkaConsumer,
    work: StageWork,
    sink: TransactionalProducer,
    metrics: WorkerMetrics,
    watch: Callable[[], None] = lambda: None,
) -> Worker:
    """Put a worker together. `watch` is called about once a second, to update metrics from totals that other objects keep."""
    chores = (watch, lambda: metrics.owned(source.partitions))
    loop = Loop(source, work, sink, metrics, DeadLetterLimit(settings.dead_letters), chores=chores)
    kafka = settings.kafka
    offsets = GroupOffsets(kafka, kafka.events_in, kafka.consumer_group)
    lag_watch = LagWatch(offsets, lambda: 0 in source.partitions, metrics.lag)
    return Worker(loop, lambda: source.partitions, lag_watch)


def _watch(metrics: WorkerMetrics, ledger: RedisLedger, store: Artifacts | None, caches: GroupingCaches) -> None:
    """Raise the counters to the totals that the ledger and the caches keep."""
    ledger.look_for_losses()
    metrics.totals(metric_defs.DATA_LOSSES, {(): ledger.losses})
    metrics.totals(metric_defs.UNCOUNTED, {(): ledger.uncounted})
    lookups = {("stacks", "hit"): caches.stacks.hits, ("stacks", "miss"): caches.stacks.misses}
    if store is not None:
        lookups |= {("modules", "hit"): store.hits, ("modules", "miss"): store.misses}
        counts = store.frame_counts()
        frames = {(str(key.project_id), key.release, "yes" if key.is_resolved else "no"): count for key, count in counts.items()}
        metrics.recent_totals(metric_defs.FRAMES, frames)
    metrics.totals(metric_defs.CACHE_LOOKUPS, lookups)
