"""The metrics of `pipeline store` as Prometheus reads them. The loops of all topics write them, each from its own thread."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest

from pipeline.observability import metric_defs as defs
from pipeline.observability.metric_defs import Metric
from pipeline.observability.prometheus_metrics import BREAKS, STATES, make_metric


class StoreMetrics:
    """One registry with every metric of `STORE_METRICS`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._metrics: dict[str, Any] = {metric.name: make_metric(metric, self.registry) for metric in defs.STORE_METRICS}
        for why in BREAKS:
            self._of(defs.INPUT_BREAKS).labels(why)
        self._seen: dict[str, set[int]] = {}

    def batch_stored(
        self, topic: str, *, records: int, rows: int, dead: list[tuple[str, str]], run_s: float, commit_s: float
    ) -> None:
        """Count a batch that is durable. `dead` holds stage and reason of each dead letter."""
        del records  # rows and dead letters together
        self._of(defs.STORE_ROWS).labels(topic).inc(rows)
        self._of(defs.STORE_BATCH_SECONDS).labels(topic, "run").observe(run_s)
        self._of(defs.STORE_BATCH_SECONDS).labels(topic, "commit").observe(commit_s)
        for (stage, reason), number in Tally(dead).items():
            self._of(defs.DEAD_LETTERS).labels(stage, reason).inc(number)

    def topic_state(self, topic: str, state: str) -> None:
        """Set the present state of a topic's loop."""
        for name in STATES:
            self._of(defs.STORE_STATE).labels(topic, name).set(name == state)

    def lag(self, topic: str, lags: Mapping[int, tuple[int, float]]) -> None:
        """Set the lag (records, seconds) of each partition of a topic.

        The series of partitions that are not named are removed.
        """
        for gone in self._seen.get(topic, set()) - lags.keys():
            for metric in (defs.STORE_LAG_RECORDS, defs.STORE_LAG_SECONDS):
                self._of(metric).remove(topic, str(gone))
        self._seen[topic] = set(lags)
        for partition, (records, age_s) in lags.items():
            self._of(defs.STORE_LAG_RECORDS).labels(topic, str(partition)).set(records)
            self._of(defs.STORE_LAG_SECONDS).labels(topic, str(partition)).set(age_s)

    def batch_dropped(self, why: str) -> None:
        """Count a batch that is read again."""
        self._of(defs.BATCHES_DROPPED).labels(why).inc()

    def service_error(self, service: str) -> None:
        """Count a call that failed because a service is away."""
        self._of(defs.SERVICE_ERRORS).labels(service).inc()

    def kafka_error(self, name: str) -> None:
        """Count an error that the Kafka client reported."""
        self._of(defs.KAFKA_ERRORS).labels(name).inc()

    def input_break(self, why: str, lost: int) -> None:
        """Count a partition that does not go on where its group had stopped, and the records that nobody can read any more."""
        self._of(defs.INPUT_BREAKS).labels(why).inc()
        self._of(defs.INPUT_LOST).inc(lost)

    def report_suppressed(self) -> None:
        """Count a report of a failure that was not sent because of the limit."""
        self._of(defs.REPORTS_SUPPRESSED).inc()

    def page(self) -> bytes:
        """Return the text that Prometheus scrapes."""
        return generate_latest(self.registry)

    def _of(self, metric: Metric) -> Any:
        return self._metrics[metric.name]


class TopicMetrics:
    """What the loop of one topic counts by itself."""

    def __init__(self, metrics: StoreMetrics, topic: str) -> None:
        self._metrics = metrics
        self._topic = topic

    def state(self, state: str) -> None:
        """Set the present state."""
        self._metrics.topic_state(self._topic, state)

    def batch_dropped(self, why: str) -> None:
        """Count a batch that is read again."""
        self._metrics.batch_dropped(why)

    def service_error(self, service: str) -> None:
        """Count a call that failed because a service is away."""
        self._metrics.service_error(service)
