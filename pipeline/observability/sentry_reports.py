"""Reports of the pipeline's own failures to a Sentry DSN, if one is configured. Reports hold no payloads.

If the DSN belongs to this pipeline, reports arrive in it as events, and a failure on such an event must not be reported again.
These events are recognized by their project, which is the one of the DSN. A failure on one of them is only logged. All other
reports are limited to `REPORTS_PER_MINUTE`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import sentry_sdk
from sentry_sdk.integrations.logging import LoggingIntegration
from sentry_sdk.utils import BadDsn, Dsn

from pipeline import __version__
from pipeline.model.errors import SettingsError
from pipeline.observability.log_repeats import KAFKA_CLIENTS
from pipeline.settings.schema import ReportSettings

REPORTS_PER_MINUTE = 10

_KEPT_EXTRA = frozenset({"stage", "kind", "state", "records", "bases", "ends", "position", "rules_version", "kafka_error"})
"""The extra values of a log line that a report may contain: positions and counts, never content of events."""


class ReportFilter:
    """Called by the SDK for each report: decides whether it is sent, and removes payloads from it."""

    def __init__(
        self,
        own_project_id: int | None,
        on_suppressed: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._own_project_id = own_project_id
        self._on_suppressed = on_suppressed
        self._clock = clock
        self._sent: list[float] = []

    def __call__(self, report: dict[str, Any], hint: dict[str, Any]) -> dict[str, Any] | None:  # noqa: ARG002 -- sentry-sdk's signature
        """Return the report without payloads, or None if it must not be sent."""
        if str(report.get("logger")).startswith(KAFKA_CLIENTS):
            return None  # An unavailable broker is not a failure of the pipeline, and would use up the limit.
        extra = report.get("extra") or {}
        if self._own_project_id is not None and extra.get("project_id") == self._own_project_id:
            return None
        now = self._clock()
        self._sent = [moment for moment in self._sent if moment > now - 60.0]
        if len(self._sent) >= REPORTS_PER_MINUTE:
            self._on_suppressed()
            return None
        self._sent.append(now)
        return _without_payloads(report)


def start_reporting(reports: ReportSettings, on_suppressed: Callable[[], None]) -> None:
    """Report each error that is logged from now on, if a DSN is configured.

    `on_suppressed` is called for each report that is not sent because of the limit. Raises SettingsError if the DSN is not valid.
    """
    if reports.sentry_dsn is None:
        return
    try:
        Dsn(reports.sentry_dsn)
    except BadDsn as error:
        raise SettingsError(f"reports.sentry_dsn: {error}") from None
    sentry_sdk.init(
        dsn=reports.sentry_dsn,
        environment=reports.environment,
        release=f"event-pipeline@{__version__}",
        before_send=ReportFilter(project_of_dsn(reports.sentry_dsn), on_suppressed),  # type: ignore[arg-type]  # the SDK's event type is a TypedDict of many optional keys
        default_integrations=False,
        integrations=[LoggingIntegration(level=None, event_level=logging.ERROR)],
        include_local_variables=False,  # they hold events
        include_source_context=True,
        send_default_pii=False,
        max_breadcrumbs=0,
        traces_sample_rate=None,
    )


def project_of_dsn(dsn: str) -> int | None:
    """Return the id of the project that a DSN names, or None if it is not a number."""
    last = urlsplit(dsn).path.rsplit("/", 1)[-1]
    return int(last) if last.isdecimal() else None


def _without_payloads(report: dict[str, Any]) -> dict[str, Any]:
    """Keep the type and the stack of each exception. Its text and the arguments of the log line may quote an event."""
    for exception in (report.get("exception") or {}).get("values") or ():
        exception["value"] = "(text left out: it may quote an event)"
        for frame in (exception.get("stacktrace") or {}).get("frames") or ():
            frame.pop("vars", None)
    logentry = report.get("logentry")
    if isinstance(logentry, dict):
        logentry.pop("params", None)
        logentry["formatted"] = logentry.get("message")
    report["extra"] = {name: value for name, value in (report.get("extra") or {}).items() if name in _KEPT_EXTRA}
    for name in ("breadcrumbs", "request", "user", "threads"):
        report.pop(name, None)
    return report
