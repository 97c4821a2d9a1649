"""The metrics of a worker for Prometheus. They are updated once a batch, never once an event."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

from pipeline.model import processing_error
from pipeline.model.outcome import Outcome
from pipeline.observability import metric_defs as defs
from pipeline.observability.metric_defs import Kind, Metric

Labels = TypeVar("Labels", bound=tuple[str, ...])

# Otherwise each counter has a second series, `_created`, which docs/operations.md does not name.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the client has no types here

BREAKS = ("retention", "recreated", "went_backwards")
STAGES = ("decode", "normalize", "filter", "admit", "scrub", "symbolicate", "enrich", "group", "count", "publish", "worker")
REFUSALS = (
    "data",
    "invalid_envelope",
    "invalid_json",
    "invalid_msgpack",
    "no_event_payload",
    "payload",
    "project_id",
    "too_large",
)
"""Reasons for which `decode` gives a record up."""
DEAD_LETTERS = (
    *(("decode", reason) for reason in REFUSALS),
    *((stage, reason) for stage in STAGES for reason in ("internal", "kills_worker", "hangs_worker")),
    ("publish", "too_large"),
)
"""Stages and reasons of dead letters. Their series exist from the start: one that begins with a burst shows no increase."""
DEATHS = ("fault", "exit", "memory", "hang")
STATES = ("starting", "running", "waiting", "halted", "stopped")


class WorkerMetrics:
    """A registry with all metrics of `metric_defs`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._metrics: dict[str, Any] = {metric.name: make_metric(metric, self.registry) for metric in defs.METRICS}
        self._seen_partitions: set[int] = set()
        self._totals: dict[tuple[str, ...], float] = {}
        self._recent_totals: dict[str, dict[tuple[str, ...], float]] = {}
        for result in ("loaded", "refused"):  # A series that begins with its first refusal shows no increase.
            self._of(defs.RULES_RELOADS).labels(result)
        for kind in (*processing_error.KINDS, processing_error.OTHER):
            self._of(defs.EVENTS_WITH_ERRORS).labels(kind)
        for why in BREAKS:
            self._of(defs.INPUT_BREAKS).labels(why)
        for stage, reason in DEAD_LETTERS:
            self._of(defs.DEAD_LETTERS).labels(stage, reason)
        for why in ("commit", "stale"):
            self._of(defs.BATCHES_DROPPED).labels(why)
        self._of(defs.SERVICE_ERRORS).labels("redis")
        for cause in DEATHS:
            self._of(defs.WORKER_DEATHS).labels(cause)

    def batch_committed(
        self,
        *,
        records: int,
        size_bytes: int,
        events: int,
        new_groups: int,
        outcomes: Iterable[Outcome],
        dead: Iterable[tuple[str, str]],
        errors: Mapping[str, int],
        stage_s: Mapping[str, float],
        run_s: float,
        commit_s: float,
    ) -> None:
        """Count a batch that was committed. `dead` holds the stage and the reason of each dead letter.

        `errors` holds the number of events with a processing error, by kind.
        """
        self._of(defs.RECORDS).inc(records)
        self._of(defs.BATCH_RECORDS).observe(records)
        self._of(defs.BATCH_BYTES).observe(size_bytes)
        self._of(defs.BATCH_SECONDS).labels("run").observe(run_s)
        self._of(defs.BATCH_SECONDS).labels("commit").observe(commit_s)
        self._of(defs.EVENTS).inc(events)
        self._of(defs.NEW_GROUPS).inc(new_groups)
        for stage, seconds in stage_s.items():
            self._of(defs.STAGE_SECONDS).labels(stage).inc(seconds)
        by_reason: Tally[tuple[str, str, str]] = Tally()
        for outcome in outcomes:
            by_reason[outcome.fate.label, outcome.reason or "", outcome.category.label] += outcome.quantity
        for labels, quantity in by_reason.items():
            self._of(defs.OUTCOMES).labels(*labels).inc(quantity)
        for kind, number in errors.items():
            self._of(defs.EVENTS_WITH_ERRORS).labels(kind).inc(number)
        for (stage, reason), number in Tally(dead).items():
            self._of(defs.DEAD_LETTERS).labels(stage, reason).inc(number)

    def batch_dropped(self, why: str) -> None:
        """Count a batch that will be read again."""
        self._of(defs.BATCHES_DROPPED).labels(why).inc()

    def service_error(self, service: str) -> None:
        """Count a call that failed because a service was unavailable."""
        self._of(defs.SERVICE_ERRORS).labels(service).inc()

    def kafka_error(self, name: str) -> None:
        """Count an error that the Kafka client reported."""
        self._of(defs.KAFKA_ERRORS).labels(name).inc()

    def input_break(self, why: str, lost: int) -> None:
        """Count a partition that does not go on where its group had stopped, and the records that nobody can read any more."""
        self._of(defs.INPUT_BREAKS).labels(why).inc()
        self._of(defs.INPUT_LOST).inc(lost)

    def owned(self, partitions: Collection[int]) -> None:
        """Set the number of input partitions that this worker owns."""
        self._of(defs.PARTITIONS).set(len(partitions))

    def lag(self, lags: Mapping[int, tuple[int, float]]) -> None:
        """Set the lag (records, seconds) of each partition, and remove the series of partitions that `lags` does not name."""
        for gone in self._seen_partitions - lags.keys():
            for metric in (defs.LAG_RECORDS, defs.LAG_SECONDS):
                self._of(metric).remove(str(gone))
        self._seen_partitions = set(lags)
        for partition, (records, age_s) in lags.items():
            self._of(defs.LAG_RECORDS).labels(str(partition)).set(records)
            self._of(defs.LAG_SECONDS).labels(str(partition)).set(age_s)

    def state(self, state: str) -> None:
        """Set the present state, one of `STATES`."""
        for name in STATES:
            self._of(defs.STATE).labels(name).set(name == state)

    def rules(self, result: str) -> None:
        """Count a change of the rules folder: `loaded` or `refused`."""
        self._of(defs.RULES_RELOADS).labels(result).inc()

    def report_suppressed(self) -> None:
        """Count a report of a failure that was not sent because of the limit."""
        self._of(defs.REPORTS_SUPPRESSED).inc()

    def totals(self, metric: Metric, totals: Mapping[Labels, float]) -> None:
        """Raise the counter of each label set to a total that is kept elsewhere. A lower total changes nothing."""
        for labels, total in totals.items():
            grown = total - self._totals.get((metric.name, *labels), 0.0)
            if grown > 0:
                self._totals[(metric.name, *labels)] = total
                (self._of(metric).labels(*labels) if labels else self._of(metric)).inc(grown)

    def recent_totals(self, metric: Metric, totals: Mapping[Labels, float]) -> None:
        """Show totals that are kept elsewhere, by labels, and remove the series of all other labels.

        A total that is lower than before was started anew. Its series then starts anew too, which Prometheus treats as a restart.
        """
        series, before = self._of(metric), self._recent_totals.get(metric.name, {})
        now: dict[tuple[str, ...], float] = {tuple(labels): total for labels, total in totals.items()}
        for labels, total in before.items():
            if now.get(labels, -1) < total:
                series.remove(*labels)
        for labels, total in now.items():
            last = before.get(labels, 0)
            series.labels(*labels).inc(total - last if total >= last else total)
        self._recent_totals[metric.name] = now

    def page(self) -> bytes:
        """Return the page that Prometheus reads."""
        return generate_latest(self.registry)

    def _of(self, metric: Metric) -> Any:
        return self._metrics[metric.name]


def make_metric(metric: Metric, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
    """Register a metric as its definition says."""
    if metric.kind is Kind.HISTOGRAM:
        return Histogram(metric.name, metric.meaning, metric.labels, registry=registry, buckets=metric.buckets)
    kind = Counter if metric.kind is Kind.COUNTER else Gauge
    return kind(metric.name, metric.meaning, metric.labels, registry=registry)
