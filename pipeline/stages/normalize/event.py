"""Normalizes one event. The result has the types that model/event.py promises."""

from __future__ import annotations

from types import NoneType
from typing import Any, cast

from pipeline.model.event import Event, RawEvent
from pipeline.model.event_id import has_event_id_form, parse_event_id
from pipeline.model.event_path import EventPath
from pipeline.stages.normalize.clock import correct_clock
from pipeline.stages.normalize.contexts import ensure_trace
from pipeline.stages.normalize.mechanisms import name_numbers
from pipeline.stages.normalize.message import logentry
from pipeline.stages.normalize.protocol import ALIASES, FIELDS
from pipeline.stages.normalize.release import ENVIRONMENT_LIMIT, dist, environment, release
from pipeline.stages.normalize.remarks import MAX_ERRORS, MAX_KEPT_VALUE_BYTES, Remarks, kept_meta
from pipeline.stages.normalize.tags import LIMIT, MAX_TAGS, entries, key_of, settle_tags
from pipeline.stages.normalize.user import name_user, settle_ip
from pipeline.stages.normalize.values import as_text, trim
from pipeline.stages.tag_remarks import move_tag_remarks

PLATFORMS = frozenset({
    "as3", "c", "cfml", "cocoa", "csharp", "elixir", "go", "groovy", "haskell", "java", "javascript", "native", "node", "objc",
    "other", "perl", "php", "python", "ruby",
})  # fmt: skip

_COMPUTED = frozenset({
    "event_id", "timestamp", "received", "type", "version", "project", "key_id", "message", "logentry", "tags", "_meta", "errors",
    "server_name", "site",
    "sentry.interfaces.Message",
})  # fmt: skip
"""Fields without a parser of their own. They are computed from other fields, or set by the pipeline."""

_DROPPED = frozenset({"metadata", "spans", "measurements", "breakdowns", "grouping_config", "_metrics", "scraping_attempts"})
"""Fields of other kinds of events or of later stages. They are dropped silently."""


LOGGER_LIMIT = 64


def normalize_event(
    event: RawEvent,
    *,
    received: float,
    project_id: int,
    event_id: str,
    client_ip: str | None = None,
    infer_ip: bool = True,
    key_id: int | None = None,
    sent_at: str | None = None,
    sdk: str | None = None,
    max_s_in_future: float = 60,
    max_s_in_past: float = 2_592_000,
    max_tags: int | None = MAX_TAGS,
) -> Event:
    """Return a new event in the form that later stages read. Repairs are named in its `errors` and `_meta`.

    `received` is in epoch seconds, `sent_at` the sender's clock when it sent the event, as text.

    `event_id` is used if the event has no valid id. Never raises for any JSON. It uses neither
    the clock nor random numbers, so the same event always gives the same bytes.
    """
    remarks = Remarks(kept_meta(event.get("_meta")))
    result: dict[str, Any] = {}
    for key, raw in event.items():
        name = ALIASES.get(key, key)
        parser = FIELDS.get(name)
        if parser is not None:
            if raw is not None and (name is key or event.get(name) is None):
                parsed = parser(raw, (None, name), remarks)
                if parsed is not None:
                    result[name] = parsed
        elif name not in _COMPUTED and name not in _DROPPED:
            remarks.error((None, name), "invalid_attribute")

    result["event_id"] = _event_id(event.get("event_id"), event_id, remarks)
    result["project"] = project_id
    if key_id is not None:
        result["key_id"] = str(key_id)
    result["version"] = "7"
    result["received"] = float(received)
    if type(event.get("extra")) not in (dict, NoneType):
        result["extra"] = {}
    correct_clock(event, result, remarks, sent_at=sent_at, max_s_in_future=max_s_in_future, max_s_in_past=max_s_in_past)
    if (platform := result.get("platform")) not in PLATFORMS:
        if platform and len(platform) < MAX_KEPT_VALUE_BYTES:
            remarks.remark(("platform",))["val"] = platform
        result["platform"] = "other"
    result.setdefault("level", "error")
    _settle_logger(result, remarks)
    _message(event, result, remarks)
    _tags(event, result, remarks, max_tags)
    _lone_stacktrace(result, remarks)
    name_numbers(result)
    settle_ip(result, client_ip, infer=infer_ip)
    name_user(result)
    _drop_empty(result, remarks)
    result.setdefault("contexts", {})
    ensure_trace(result)
    if sdk and "/" in sdk and type(event.get("sdk")) is not dict:
        name, _, version = sdk.partition("/")
        result["sdk"] = {"name": name, "version": version}
    result["type"] = _kind(result, event.get("type"))
    if result["type"] == "csp" and not result["logger"]:
        result["logger"] = "csp"
    errors = [*result.pop("errors", [])[:MAX_ERRORS], *remarks.errors]
    if errors:
        result["errors"] = errors
    if remarks.meta:
        result["_meta"] = remarks.meta
    return cast("Event", result)


def _settle_logger(result: dict[str, Any], remarks: Remarks) -> None:
    """Cut the logger's name to its limit. A Java logger loses its beginning, because the class stands at its end.

    The cut goes to the next dot if there is one, and `*` stands for what is gone: `*.checkout.PaymentService`.
    Like Relay, this leaves the remark on the whole event.
    """
    sent = result.setdefault("logger", "")
    if result["platform"] != "java":
        if len(sent) > LOGGER_LIMIT:
            result["logger"] = trim(sent, (None, "logger"), remarks, LOGGER_LIMIT)
        return
    name = sent.strip()
    result["logger"] = name
    if len(name) > LOGGER_LIMIT:
        start = len(name) - LOGGER_LIMIT + 1  # one character for the `*`
        if name[start - 1] != ".":
            start = max(start, name.find(".", start))
        result["logger"] = f"*{name[start:]}"
        _logger_remark(remarks, len(sent), ["@logger:replace", "s", 0, start])
    elif name != sent:
        _logger_remark(remarks, len(sent), ["@logger:trim", "s"] if name else ["@logger:remove", "x", 0, len(sent)])


def _logger_remark(remarks: Remarks, length: int, note: list[Any]) -> None:
    remark = remarks.remark(())
    remark.setdefault("rem", []).append(note)
    remark["len"] = length


def _drop_empty(result: dict[str, Any], remarks: Remarks) -> None:
    """Remove empty objects, except those whose content was refused, because they show that the sender sent something."""
    for name in ("extra", "modules", "debug_meta", "request", "user"):
        if result.get(name) == {} and name not in remarks.meta:
            del result[name]


def _event_id(sent: object, settled: str, remarks: Remarks) -> str:
    """Return the event's id: the one that decode settled and wrote into the event, else the event's own."""
    if sent is settled:  # as for every event that came through decode
        return settled
    if sent is not None and not has_event_id_form(sent):
        remarks.invalid((None, "event_id"), "expected event id", sent)
    return parse_event_id(sent) or settled


def _message(event: dict[str, Any], result: dict[str, Any], remarks: Remarks) -> None:
    """Set `logentry` from `logentry`, its old name or `message`, in this order."""
    path: EventPath = (None, "logentry")
    for key in ("logentry", "sentry.interfaces.Message", "message"):
        if event.get(key) is not None:
            found = logentry(event[key], path, remarks)
            if found and key == "message":
                remarks.moved("message", "logentry", "formatted")
            if found:
                result["logentry"] = found
            return


def _identity(result: dict[str, Any], remarks: Remarks) -> None:
    for name, parse in (("release", release), ("dist", dist), ("environment", environment)):
        if name in result:
            value = parse(result.pop(name), (None, name), remarks)
            if value is not None:
                result[name] = value


def _tags(event: dict[str, Any], result: dict[str, Any], remarks: Remarks, limit: int | None) -> None:
    """Set the tags as pairs. A tag `environment` moves to the field of that name. `server_name` and `site` become tags."""
    path: EventPath = (None, "tags")
    moved = {name: value for name in ("site", "server_name") if type(value := event.get(name)) is str and value}
    _identity(result, remarks)
    known = remarks.meta.pop("tags", None)
    sent = [(place, entry) for place, entry in enumerate(entries(event.get("tags"), path, remarks)) if key_of(entry) not in moved]
    at = next((index for index, (_, entry) in enumerate(sent) if key_of(entry) == "environment"), None)
    if at is not None:
        _, named = sent.pop(at)[1]
        if "environment" not in result and (value := as_text(named)) is not None:
            result["environment"] = trim(value, (None, "environment"), remarks, ENVIRONMENT_LIMIT)
    kept, places = settle_tags(sent, path, remarks, limit)
    if known or result.get("errors"):
        _move_known(known, places, result, remarks)
    for name, value in moved.items():
        kept.append([name, trim(value, ((path, len(kept)), 1), remarks, LIMIT)])
    if kept or type(event.get("tags")) not in (list, dict, NoneType):
        result["tags"] = kept


def _move_known(known: Any, places: list[int], result: dict[str, Any], remarks: Remarks) -> None:
    """Move what the sender's `_meta` and `errors` say of tags along with them. `places` are where the kept tags were sent."""
    sent = {"_meta": {"tags": known}, "errors": result.get("errors")}
    move_tag_remarks(sent, {str(old): new for new, old in enumerate(places)})
    moved = (sent.get("_meta") or {}).get("tags")
    if moved:
        remarks.meta["tags"] = _joined(moved, remarks.meta.get("tags"))


def _joined(earlier: Any, later: Any) -> Any:
    """Return what an earlier and a later pass said of the same value."""
    if isinstance(earlier, dict) and isinstance(later, dict):
        return {**later, **{key: _joined(child, later.get(key)) for key, child in earlier.items()}}
    return earlier + later if isinstance(earlier, list) and isinstance(later, list) else earlier


def _lone_stacktrace(result: dict[str, Any], remarks: Remarks) -> None:
    """If there is exactly one exception, move the event's own stack into it, with its remarks."""
    values = (result.get("exception") or {}).get("values") or ()
    present = [index for index, one in enumerate(values) if one is not None]
    if len(present) == 1 and "stacktrace" in result:
        values[present[0]]["stacktrace"] = result.pop("stacktrace")
        remarks.moved("stacktrace", "exception", "values", str(present[0]), "stacktrace")


def _kind(result: dict[str, Any], sent: object) -> str:
    """Return the event's type, which follows from its content. Reports of network errors are recognized by a context."""
    if (result.get("exception") or {}).get("values"):
        return "error"
    if sent == "nel" and result["contexts"].get("nel"):
        return "nel"
    return next((name for name in ("csp", "hpkp", "expectct", "expectstaple") if result.get(name)), "default")
