"""A gateway's metrics as Prometheus reads them. The shipping loop and the event loop's thread both write them."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest

from pipeline.model.outcome import Outcome
from pipeline.observability import metric_defs as defs
from pipeline.observability.metric_defs import Metric
from pipeline.observability.prometheus_metrics import STATES, make_metric


class GatewayMetrics:
    """One registry with every metric of `GATEWAY_METRICS`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._metrics: dict[str, Any] = {metric.name: make_metric(metric, self.registry) for metric in defs.GATEWAY_METRICS}
        self._broken = 0
        for result in ("loaded", "refused"):  # A series that begins with its first refusal shows no increase.
            self._of(defs.RULES_RELOADS).labels(result)
        self._by_status: dict[int, Any] = {503: self._of(defs.GATEWAY_REQUESTS).labels("503")}

    def answered(self, status: int, seconds: float) -> None:
        """Count an answer."""
        if status not in self._by_status:
            self._by_status[status] = self._of(defs.GATEWAY_REQUESTS).labels(str(status))
        self._by_status[status].inc()
        self._of(defs.GATEWAY_REQUEST_SECONDS).observe(seconds)

    def accepted(self, endpoint: str) -> None:
        """Count a request that is durable."""
        self._of(defs.GATEWAY_ACCEPTED).labels(endpoint).inc()

    def refused(self, reason: str) -> None:
        """Count a refusal."""
        self._of(defs.GATEWAY_REFUSED).labels(reason).inc()

    def spool(self, *, stored_bytes: int, age_s: float, sync_s: float, broken: int, body_bytes: int) -> None:
        """Set the gauges of the spool: size, age of what waits, time of the last sync. `broken` is the total since the start."""
        self._of(defs.GATEWAY_SPOOL_BYTES).set(stored_bytes)
        self._of(defs.GATEWAY_SPOOL_AGE).set(age_s)
        self._of(defs.GATEWAY_SPOOL_SYNC).set(sync_s)
        self._of(defs.GATEWAY_SPOOL_BROKEN).inc(broken - self._broken)
        self._of(defs.GATEWAY_BODY_BYTES).set(body_bytes)
        self._broken = broken

    def shipped(
        self,
        *,
        records: int,
        events: int,
        outcomes: Iterable[Outcome],
        dead: Iterable[tuple[str, str]],
        run_s: float,
        commit_s: float,
    ) -> None:
        """Count a batch whose transaction was committed. `dead` holds stage and reason of each dead letter."""
        self._of(defs.GATEWAY_SHIPPED).inc(records)
        self._of(defs.EVENTS).inc(events)
        self._of(defs.BATCH_SECONDS).labels("run").observe(run_s)
        self._of(defs.BATCH_SECONDS).labels("commit").observe(commit_s)
        by_reason: Tally[tuple[str, str, str]] = Tally()
        for outcome in outcomes:
            by_reason[outcome.fate.label, _bounded(outcome), outcome.category.label] += outcome.quantity
        for labels, quantity in by_reason.items():
            self._of(defs.OUTCOMES).labels(*labels).inc(quantity)
        for (stage, reason), number in Tally(dead).items():
            self._of(defs.DEAD_LETTERS).labels(stage, reason).inc(number)

    def state(self, state: str) -> None:
        """Set the present state of the shipping loop."""
        for name in STATES:
            self._of(defs.STATE).labels(name).set(name == state)

    def batch_dropped(self, why: str) -> None:
        """Count a batch that is read again."""
        self._of(defs.BATCHES_DROPPED).labels(why).inc()

    def service_error(self, service: str) -> None:
        """Count a call that failed because a service is away."""
        self._of(defs.SERVICE_ERRORS).labels(service).inc()

    def kafka_error(self, name: str) -> None:
        """Count an error that the Kafka client reported."""
        self._of(defs.KAFKA_ERRORS).labels(name).inc()

    def rules(self, result: str) -> None:
        """Count a change of the rules folder: `loaded` or `refused`."""
        self._of(defs.RULES_RELOADS).labels(result).inc()

    def report_suppressed(self) -> None:
        """Count a report of a failure that was not sent because of the limit."""
        self._of(defs.REPORTS_SUPPRESSED).inc()

    def page(self) -> bytes:
        """Return the text that Prometheus scrapes."""
        return generate_latest(self.registry)

    def _of(self, metric: Metric) -> Any:
        return self._metrics[metric.name]


def _bounded(outcome: Outcome) -> str:
    """Return an outcome's reason as a label.

    Reasons of client reports are left out, because clients can make up any number of them.
    """
    return "" if outcome.reason is None else outcome.reason if outcome.fate.label == "invalid" else "(reported)"
