"""A worker: Kafka on both ends, Redis for the ledger, and what its metrics are read from."""

from __future__ import annotations

from pipeline.grouping.caches import GroupingCaches
from pipeline.kafka.consumer import KafkaSource
from pipeline.kafka.producer import KafkaSink
from pipeline.model.errors import SettingsError
from pipeline.observability import metric_defs
from pipeline.observability.prometheus_metrics import WorkerMetrics
from pipeline.quotas.redis_ledger import RedisLedger
from pipeline.rules.folder import RulesFolder
from pipeline.runtimes.loop import Worker
from pipeline.settings.schema import Settings
from pipeline.sourcemaps.artifacts import Artifacts
from pipeline.wiring.contexts import configured_artifacts, worker_context
from pipeline.wiring.redis import connect_redis, redis_ledger


def make_worker(settings: Settings, rules: RulesFolder, metrics: WorkerMetrics) -> Worker:
    """Return a worker that has not started.

    Raises SettingsError if no Redis is configured, or if static membership is on and the worker has no slot.
    """
    if settings.kafka.static_membership and settings.kafka.slot is None:
        raise SettingsError("kafka.static_membership needs kafka.slot (PIPELINE_SLOT): the group remembers a worker by it")
    ledger = redis_ledger(connect_redis(settings), settings)
    source = KafkaSource(settings, on_revoke=lambda _: ledger.forget())
    store = configured_artifacts(settings)
    context = worker_context(settings, rules, ledger, store)
    sink = KafkaSink(settings.kafka)
    return Worker(
        settings,
        source,
        sink,
        context,
        metrics,
        watch=lambda: _watch(metrics, ledger, store, rules.grouping_caches),
        check=ledger.check,
    )


def _watch(metrics: WorkerMetrics, ledger: RedisLedger, store: Artifacts | None, caches: GroupingCaches) -> None:
    """Bring the counters up to the totals that the ledger and the caches keep."""
    metrics.totals(metric_defs.DATA_LOSSES, {(): ledger.losses})
    metrics.totals(metric_defs.UNCOUNTED, {(): ledger.uncounted})
    lookups = {("stacks", "hit"): caches.stacks.hits, ("stacks", "miss"): caches.stacks.misses}
    if store is not None:
        lookups |= {("modules", "hit"): store.hits, ("modules", "miss"): store.misses}
        counts = store.frame_counts()
        frames = {(str(key.project_id), key.release, "yes" if key.is_resolved else "no"): count for key, count in counts.items()}
        metrics.totals(metric_defs.FRAMES, frames)
    metrics.totals(metric_defs.CACHE_LOOKUPS, lookups)
