"""Reports of our own failures, to a DSN when one is configured. Never with payloads in them, never about reports themselves.

No loops: what we report comes back to us as events where the DSN is our own. Such events are told by their project, which is the
DSN's: a failure on one of them is logged and not reported. A limit bounds the rest.
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
"""What a log line's extras may carry out of the house: places and counts, never bytes of events."""


class ReportFilter:
    """Decides about each report: what is taken out, and whether it goes at all."""

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
        """Give the report without payloads; None where it must not go."""
        if str(report.get("logger")).startswith(KAFKA_CLIENTS):
            return None  # a broker that is away is no failure of ours, and would use up what may be sent
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
    """Report errors that are logged, where a DSN is configured. `on_suppressed` is called for each that there was no room for.

    Raises SettingsError for what is no DSN.
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
    """Give the project that reports go to."""
    last = urlsplit(dsn).path.rsplit("/", 1)[-1]
    return int(last) if last.isdecimal() else None


def _without_payloads(report: dict[str, Any]) -> dict[str, Any]:
    """Keep the type of each exception and its stack; its text and the log line's arguments may quote an event."""
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
