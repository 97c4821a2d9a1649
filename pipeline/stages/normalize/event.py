"""One event, from what a sender made of it to what every later stage may rely on."""

from __future__ import annotations

from types import NoneType
from typing import Any

from pipeline.model.path import Path
from pipeline.stages.normalize.clock import correct_clock
from pipeline.stages.normalize.contexts import ensure_trace
from pipeline.stages.normalize.message import logentry
from pipeline.stages.normalize.protocol import ALIASES, FIELDS
from pipeline.stages.normalize.release import ENVIRONMENT_LIMIT, dist, environment, release
from pipeline.stages.normalize.report import MAX_ERRORS, Report, kept_meta
from pipeline.stages.normalize.tags import LIMIT, MAX_TAGS, entries, key_of, settle_tags
from pipeline.stages.normalize.user import name_user, settle_ip
from pipeline.stages.normalize.values import as_uuid, printed, trim

PLATFORMS = frozenset({
    "as3", "c", "cfml", "cocoa", "csharp", "elixir", "go", "groovy", "haskell", "java", "javascript", "native", "node", "objc",
    "other", "perl", "php", "python", "ruby",
})  # fmt: skip

_COMPUTED = frozenset({
    "event_id", "timestamp", "received", "type", "version", "project", "key_id", "message", "logentry", "tags", "_meta", "errors",
    "server_name", "site",
    "sentry.interfaces.Message",
})  # fmt: skip
"""Fields that are not read by themselves: they follow from others, or from who received the event."""

_DROPPED = frozenset({"metadata", "spans", "measurements", "breakdowns", "grouping_config", "_metrics", "scraping_attempts"})
"""Fields of other kinds of events, and of other stages: they go without a word."""


def normalize_event(
    event: dict[str, Any],
    *,
    received: float,
    project_id: int,
    event_id: str,
    client_ip: str | None = None,
    infer_ip: bool = True,
    key_id: int | None = None,
    sdk: str | None = None,
    max_s_in_future: float = 60,
    max_s_in_past: float = 2_592_000,
    max_tags: int | None = MAX_TAGS,
) -> dict[str, Any]:
    """Give a new event in the one form that later stages read; what had to be repaired is named in its `errors` and `_meta`.

    `received` is in epoch seconds. `event_id` stands in where the event has no valid one. Never raises, whatever JSON holds;
    reads no clock and draws no random number, so the same event always gives the same bytes.
    """
    report = Report(kept_meta(event.get("_meta")))
    result: dict[str, Any] = {}
    for key, raw in event.items():
        name = ALIASES.get(key, key)
        parser = FIELDS.get(name)
        if parser is not None:
            if raw is not None and (name is key or event.get(name) is None):
                parsed = parser(raw, (None, name), report)
                if parsed is not None:
                    result[name] = parsed
        elif name not in _COMPUTED and name not in _DROPPED:
            report.error((None, name), "invalid_attribute")

    result["event_id"] = _event_id(event.get("event_id"), report) or event_id
    result["project"] = project_id
    if key_id is not None:
        result["key_id"] = str(key_id)
    result["version"] = "7"
    result["received"] = float(received)
    if type(event.get("extra")) not in (dict, NoneType):
        result["extra"] = {}
    correct_clock(event, result, report, max_s_in_future=max_s_in_future, max_s_in_past=max_s_in_past)
    if result.get("platform") not in PLATFORMS:
        result["platform"] = "other"
    result.setdefault("level", "error")
    result.setdefault("logger", "")
    _message(event, result, report)
    _tags(event, result, report, max_tags)
    _lone_stacktrace(result, report)
    settle_ip(result, client_ip, infer=infer_ip)
    name_user(result)
    _drop_empty(result, report)
    result.setdefault("contexts", {})
    ensure_trace(result)
    if sdk and "/" in sdk and type(event.get("sdk")) is not dict:
        name, _, version = sdk.partition("/")
        result["sdk"] = {"name": name, "version": version}
    result["type"] = _kind(result)
    if result["type"] == "csp" and not result["logger"]:
        result["logger"] = "csp"
    errors = [*result.pop("errors", [])[:MAX_ERRORS], *report.errors]
    if errors:
        result["errors"] = errors
    if report.meta:
        result["_meta"] = report.meta
    return result


def _drop_empty(result: dict[str, Any], report: Report) -> None:
    """Leave out objects that hold nothing, but for those of which something was refused: that they were sent is worth telling."""
    for name in ("extra", "modules", "debug_meta", "request", "user"):
        if result.get(name) == {} and name not in report.meta:
            del result[name]


def _event_id(value: Any, report: Report) -> str | None:
    result = as_uuid(value)
    if result is None and value is not None:
        report.invalid((None, "event_id"), "expected event id", value)
    return result if result and result.strip("0") else None


def _message(event: dict[str, Any], result: dict[str, Any], report: Report) -> None:
    """Give the message its one form; `logentry` goes before `message` where both are there."""
    path: Path = (None, "logentry")
    for key in ("logentry", "sentry.interfaces.Message", "message"):
        if event.get(key) is not None:
            found = logentry(event[key], path, report)
            if found and key == "message":
                report.moved("message", "logentry", "formatted")
            if found:
                result["logentry"] = found
            return


def _identity(result: dict[str, Any], report: Report) -> None:
    for name, parse in (("release", release), ("dist", dist), ("environment", environment)):
        if name in result:
            value = parse(result.pop(name), (None, name), report)
            if value is not None:
                result[name] = value


def _tags(event: dict[str, Any], result: dict[str, Any], report: Report, limit: int | None) -> None:
    """Tags as pairs. An environment among them moves to its field; the server's name and the site become tags."""
    path: Path = (None, "tags")
    moved = {name: value for name in ("site", "server_name") if type(value := event.get(name)) is str and value}
    _identity(result, report)
    sent = [entry for entry in entries(event.get("tags"), path, report) if key_of(entry) not in moved]
    at = next((index for index, entry in enumerate(sent) if key_of(entry) == "environment"), None)
    if at is not None:
        _, named = sent.pop(at)
        if "environment" not in result and (value := printed(named)) is not None:
            result["environment"] = trim(value, (None, "environment"), report, ENVIRONMENT_LIMIT)
    kept = settle_tags(sent, path, report, limit)
    for name, value in moved.items():
        kept.append([name, trim(value, ((path, len(kept)), 1), report, LIMIT)])
    if kept or type(event.get("tags")) not in (list, dict, NoneType):
        result["tags"] = kept


def _lone_stacktrace(result: dict[str, Any], report: Report) -> None:
    """Give a stack beside exactly one exception to that exception, with what was found wrong with it."""
    values = (result.get("exception") or {}).get("values") or ()
    present = [index for index, one in enumerate(values) if one is not None]
    if len(present) == 1 and "stacktrace" in result:
        values[present[0]]["stacktrace"] = result.pop("stacktrace")
        report.moved("stacktrace", "exception", "values", str(present[0]), "stacktrace")


def _kind(result: dict[str, Any]) -> str:
    if (result.get("exception") or {}).get("values"):
        return "error"
    return next((name for name in ("csp", "hpkp", "expectct", "expectstaple") if result.get(name)), "default")
