"""The read API's metrics as Prometheus reads them."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, generate_latest

from pipeline.observability import metric_defs as defs
from pipeline.observability.prometheus_metrics import make_metric


class ApiMetrics:
    """One registry with every metric of `API_METRICS`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._metrics: dict[str, Any] = {metric.name: make_metric(metric, self.registry) for metric in defs.API_METRICS}

    def answered(self, status: int, seconds: float) -> None:
        """Count an answer."""
        self._metrics[defs.API_REQUESTS.name].labels(str(status)).inc()
        self._metrics[defs.API_REQUEST_SECONDS.name].observe(seconds)

    def report_suppressed(self) -> None:
        """Count a report about the pipeline itself that was not sent."""
        self._metrics[defs.REPORTS_SUPPRESSED.name].inc()

    def page(self) -> bytes:
        """Return what Prometheus scrapes."""
        return generate_latest(self.registry)
