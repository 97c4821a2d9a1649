"""Reports of browsers about a page's security policies: each becomes an error event. Pure functions.

Two forms are sent for the content security policy: one report as `{"csp-report": {...}}`, and a list of reports of the Reporting
API, `[{"type": "csp-violation", "body": {...}}, ...]`. Pins, Expect-CT and Expect-Staple have a form each.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from pipeline.grouping.strategies.security import normalize_uri
from pipeline.http.answers import RefusedRequestError

MAX_REPORTS = 100
CONTENT_TYPES = frozenset({"application/json", "application/csp-report", "application/reports+json"})

_HOSTS: dict[str, tuple[str, str]] = {
    "expect-ct-report": ("expectct", "Expect-CT failed for '{}'"),
    "expect-staple-report": ("expectstaple", "Expect-Staple failed for '{}'"),
}
"""For reports about a host, by their key: the field of the event, and the event's message."""
_PINNING = ("hpkp", "Public key pinning validation failed for '{}'")
_LOCAL = "'self'"
_CSP_FIELDS = {
    "blockedurl": "blocked_uri",
    "columnnumber": "column_number",
    "documenturl": "document_uri",
    "effectivedirective": "effective_directive",
    "linenumber": "line_number",
    "originalpolicy": "original_policy",
    "sample": "script_sample",
    "sourcefile": "source_file",
    "statuscode": "status_code",
}
"""Names of fields in the Reporting API, in lower case, and the older names, which events use."""
_MESSAGES = {
    "child-src": ("Blocked 'child' source from '{}'", "Blocked inline 'child'"),
    "connect-src": ("Blocked 'connect' from '{}'", "Blocked inline 'connect'"),
    "font-src": ("Blocked 'font' from '{}'", "Blocked inline 'font'"),
    "img-src": ("Blocked 'image' from '{}'", "Blocked inline 'image'"),
    "manifest-src": ("Blocked 'manifest' from '{}'", "Blocked inline 'manifest'"),
    "media-src": ("Blocked 'media' from '{}'", "Blocked inline 'media'"),
    "object-src": ("Blocked 'object' from '{}'", "Blocked inline 'object'"),
    "script-src": ("Blocked 'script' from '{}'", "Blocked unsafe (eval() or inline) 'script'"),
    "script-src-attr": ("Blocked inline script attribute from '{}'", "Blocked inline script attribute"),
    "script-src-elem": ("Blocked 'script' from '{}'", "Blocked unsafe 'script' element"),
    "style-src": ("Blocked 'style' from '{}'", "Blocked inline 'style'"),
    "style-src-attr": ("Blocked style attribute from '{}'", "Blocked style attribute"),
    "style-src-elem": ("Blocked 'style' from '{}'", "Blocked 'style' or 'link' element"),
}
"""The event's message for each directive: for resources of another origin, and for the page's own."""


class ReportOrigin(NamedTuple):
    """What the request itself says about its reports. None stands for what it does not say."""

    user_agent: str | None = None
    release: str | None = None
    environment: str | None = None


def read_reports(body: bytes) -> list[dict[str, Any]]:
    """Return the reports in a body, as sent.

    Raises RefusedRequestError (400) if the body is not a list of at most MAX_REPORTS reports.
    """
    try:
        sent = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RefusedRequestError(400, "invalid security report", "not JSON", reason="security_report") from None
    reports = sent if isinstance(sent, list) else [sent]
    if not 0 < len(reports) <= MAX_REPORTS or not all(isinstance(report, dict) and _kind_of(report) for report in reports):
        raise RefusedRequestError(400, "invalid security report", "unknown form", reason="security_report")
    return reports


def events_of(reports: list[dict[str, Any]], origin: ReportOrigin) -> Iterator[dict[str, Any]]:
    """Yield an event for each report."""
    for report in reports:
        event = _csp_event(report) if _kind_of(report) == "csp" else _host_event(report)
        user_agent = report.get("user_agent") if isinstance(report.get("user_agent"), str) else origin.user_agent
        if user_agent:
            event.setdefault("request", {}).setdefault("headers", []).append(["User-Agent", user_agent])
        event |= {name: value for name, value in (("release", origin.release), ("environment", origin.environment)) if value}
        yield event


def _kind_of(report: dict[str, Any]) -> str | None:
    """Return the field of the event that a report becomes, or None if it is not a report."""
    if isinstance(report.get("csp-report"), dict) or (
        report.get("type") == "csp-violation" and isinstance(report.get("body"), dict)
    ):
        return "csp"
    for name, (field, _) in _HOSTS.items():
        if isinstance(report.get(name), dict):
            return field
    return _PINNING[0] if isinstance(report.get("hostname"), str) and "known-pins" in report else None


def _csp_event(report: dict[str, Any]) -> dict[str, Any]:
    csp = _renamed(report["csp-report"] if "csp-report" in report else report["body"])
    if "document_uri" not in csp and isinstance(report.get("url"), str):
        csp["document_uri"] = report["url"]
    violated = _text(csp, "violated_directive")
    directive = _text(csp, "effective_directive") or violated.partition(" ")[0]
    csp["effective_directive"] = directive
    csp.setdefault("violated_directive", directive)
    blocked = _text(csp, "blocked_uri")
    document, referrer = _text(csp, "document_uri"), _text(csp, "referrer")
    event: dict[str, Any] = {
        "csp": csp,
        "logger": "csp",
        "logentry": {"formatted": _csp_message(directive, blocked, document)},
        "culprit": violated or directive,
        "tags": [[name, value] for name, value in (("effective-directive", directive), ("blocked-uri", blocked)) if value],
    }
    if document:
        event["request"] = {"url": document, "headers": [["Referer", referrer]] if referrer else []}
    return event


def _csp_message(directive: str, blocked: str, document: str) -> str:
    """Return the message of an event about a blocked resource. `blocked` and `document` are URLs as the browser sent them."""
    source = normalize_uri(blocked)
    is_local = source in {_LOCAL, "inline:", "eval:", normalize_uri(document) if document else _LOCAL}
    other, local = _MESSAGES.get(directive, (f"Blocked '{directive}' from '{{}}'", f"Blocked inline '{directive}'"))
    return local if is_local else other.replace("{}", source)


def _host_event(report: dict[str, Any]) -> dict[str, Any]:
    """Return the event of a report about a host's certificate."""
    name = next((name for name in _HOSTS if isinstance(report.get(name), dict)), None)
    field, message = _PINNING if name is None else _HOSTS[name]
    content = _renamed(report if name is None else report[name])
    host = _text(content, "hostname")
    return {
        field: content,
        "logger": field,
        "logentry": {"formatted": message.replace("{}", host)},
        "culprit": host,
        "tags": [["hostname", host]] if host else [],
    }


def _renamed(fields: dict[str, Any]) -> dict[str, Any]:
    """Rename fields to the names that events have: `blocked-uri` and `blockedURL` are `blocked_uri`."""
    return {_CSP_FIELDS.get(name.lower(), re.sub("-", "_", name)): value for name, value in fields.items()}


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""
