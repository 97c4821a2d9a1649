"""A stored event's body as the API shows it: its exceptions, frames, breadcrumbs, request, threads and contexts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from pipeline.api.formatting import event_fields, release_json
from pipeline.api.shown_text import shown_value
from pipeline.api.types import EventDetailJson
from pipeline.store.queries.answers import EventSummary

Fields = dict[str, Any]


def event_detail(
    event: EventSummary, body: Fields | None, previous_id: str | None = None, next_id: str | None = None
) -> EventDetailJson:
    """Return an event with its body, or with its columns only if the body is gone."""
    data: Fields = shown_value(body or {})
    user, fields = data.get("user"), event_fields(event)
    if isinstance(user, dict):
        fields["user"] = {"id": None, "email": None, "username": None, "ip_address": None, **user}
    return EventDetailJson(
        **fields,
        kind=event.type or "error",
        entries=tuple(_entries(data)),
        contexts=_object(data.get("contexts")),
        context=_object(data.get("extra")),
        sdk=_object(data.get("sdk")) or None,
        dist=event.dist or None,
        release=release_json(event.release) if event.release else None,
        errors=tuple(_error(one) for one in _list(data.get("errors")) if isinstance(one, dict)),
        fingerprints=tuple(str(one) for one in _list(data.get("hashes"))),
        packages=_object(data.get("modules")),
        grouping_config=_object(data.get("grouping_config")),
        size=len(msgspec.json.encode(body)) if body else 0,
        previous_event_id=previous_id,
        next_event_id=next_id,
    )


def _entries(data: Fields) -> Iterator[Fields]:
    values = [one for one in _list(_object(data.get("exception")).get("values")) if isinstance(one, dict)]
    if values:
        exceptions = [_exception(one) for one in values]
        has_system = any(not frame["inApp"] for one in exceptions for frame in _object(one["stacktrace"]).get("frames", ()))
        about = {"values": exceptions, "hasSystemFrames": has_system, "excOmitted": None}
        yield {"type": "exception", "data": about}
    message = data.get("logentry")
    if isinstance(message, dict) and (message.get("formatted") or message.get("message")):
        text = message.get("formatted") or message.get("message")
        yield {"type": "message", "data": {"formatted": text, "message": message.get("message"), "params": message.get("params")}}
    if not values and isinstance(data.get("stacktrace"), dict):
        yield {"type": "stacktrace", "data": _stacktrace(data["stacktrace"])}
    threads = [one for one in _list(_object(data.get("threads")).get("values")) if isinstance(one, dict)]
    if threads:
        yield {"type": "threads", "data": {"values": [_thread(one) for one in threads]}}
    crumbs = [one for one in _list(_object(data.get("breadcrumbs")).get("values")) if isinstance(one, dict)]
    if crumbs:
        yield {"type": "breadcrumbs", "data": {"values": [_crumb(one) for one in crumbs]}}
    request = data.get("request")
    if isinstance(request, dict) and request:
        yield {"type": "request", "data": _request(request)}
    if isinstance(data.get("debug_meta"), dict):
        yield {"type": "debugmeta", "data": data["debug_meta"]}


def _exception(one: Fields) -> Fields:
    return {
        "type": one.get("type"),
        "value": one.get("value"),
        "module": one.get("module"),
        "threadId": one.get("thread_id"),
        "mechanism": one.get("mechanism"),
        "stacktrace": _stacktrace(one["stacktrace"]) if isinstance(one.get("stacktrace"), dict) else None,
        "rawStacktrace": _stacktrace(one["raw_stacktrace"]) if isinstance(one.get("raw_stacktrace"), dict) else None,
    }


def _stacktrace(one: Fields) -> Fields:
    frames = [_frame(frame) for frame in _list(one.get("frames")) if isinstance(frame, dict)]
    has_system = any(not frame["inApp"] for frame in frames)
    return {"frames": frames, "framesOmitted": None, "registers": one.get("registers"), "hasSystemFrames": has_system}


def _frame(one: Fields) -> Fields:
    return {
        "filename": one.get("filename"),
        "absPath": one.get("abs_path"),
        "module": one.get("module"),
        "package": one.get("package"),
        "platform": one.get("platform"),
        "instructionAddr": one.get("instruction_addr"),
        "symbolAddr": one.get("symbol_addr"),
        "function": one.get("function"),
        "rawFunction": one.get("raw_function"),
        "symbol": one.get("symbol"),
        "context": _context(one),
        "lineNo": one.get("lineno"),
        "colNo": one.get("colno"),
        "inApp": bool(one.get("in_app")),
        "trust": one.get("trust"),
        "errors": None,
        "lock": one.get("lock"),
        "sourceLink": None,
        "vars": one.get("vars") if isinstance(one.get("vars"), dict) else None,
    }


def _context(frame: Fields) -> list[tuple[int, Any]]:
    """Return the source around a frame as numbers of lines with their text."""
    line = frame.get("lineno")
    if not isinstance(line, int) or frame.get("context_line") is None:
        return []
    before, after = _list(frame.get("pre_context")), _list(frame.get("post_context"))
    lines = [*before, frame["context_line"], *after]
    first = line - len(before)
    return [(first + number, text) for number, text in enumerate(lines)]


def _thread(one: Fields) -> Fields:
    return {
        "id": one.get("id"),
        "name": one.get("name"),
        "crashed": one.get("crashed"),
        "current": one.get("current"),
        "main": one.get("main"),
        "state": one.get("state"),
        "stacktrace": _stacktrace(one["stacktrace"]) if isinstance(one.get("stacktrace"), dict) else None,
        "rawStacktrace": None,
        "heldLocks": one.get("held_locks"),
    }


def _crumb(one: Fields) -> Fields:
    return {
        "type": one.get("type") or "default",
        "category": one.get("category"),
        "level": one.get("level") or "info",
        "message": one.get("message"),
        "timestamp": one.get("timestamp"),
        "data": one.get("data"),
        "event_id": one.get("event_id"),
    }


def _request(one: Fields) -> Fields:
    return {
        "method": one.get("method"),
        "url": one.get("url"),
        "query": one.get("query_string") or [],
        "fragment": one.get("fragment"),
        "data": one.get("data"),
        "headers": one.get("headers") or [],
        "cookies": one.get("cookies") or [],
        "env": one.get("env"),
        "inferredContentType": one.get("inferred_content_type"),
        "apiTarget": one.get("api_target"),
    }


def _error(one: Fields) -> Fields:
    return {
        "type": one.get("type"),
        "message": one.get("type"),
        "data": {name: value for name, value in one.items() if name != "type"},
    }


def _object(value: Any) -> Fields:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
