"""What Snuba and the published schemas refuse: docs/spec/storage-messages.md in code, without using `pipeline`.

Each check gives the reasons for a refusal; none means that the message is read.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache
from typing import Any

import fastjsonschema
from support import suites

DATETIME = "%Y-%m-%dT%H:%M:%S.%fZ"
PROMOTED_TAGS = {"environment", "level", "transaction", "sentry:release", "sentry:dist", "sentry:user"}
MISTAKEN_TAGS = {"release", "dist", "user"}

Refusals = Iterator[str]
Check = Callable[[Any], bool]


def check_event_message(value: bytes) -> list[str]:
    """Return why the errors processor or the events schema refuses a message."""
    try:
        message = json.loads(value, parse_constant=_refuse_constant)
    except ValueError as error:
        return [f"not JSON: {error}"]
    return [*_schema_refusals("events", message), *_message_refusals(message)]


def check_published_event(value: bytes) -> list[str]:
    """Return what is wrong with a published message: refusals, and values that Snuba would read as a wrong date or no column."""
    refusals = check_event_message(value)
    if refusals:
        return refusals
    _, _, event, _ = json.loads(value)
    data = event["data"]
    tags = dict(data["tags"])
    wrong = [
        f"{name} is missing"
        for name in ("datetime", "group_first_seen", "retention_days", "organization_id", "group_ids", "platform")
        if name not in event
    ]
    wrong += [
        f"data.{name} is missing"
        for name in ("received", "timestamp", "type", "version", "title", "hashes")
        if data.get(name) is None
    ]
    wrong += [f"tag {name} is no column" for name in MISTAKEN_TAGS & tags.keys()]
    wrong += [f"tag {name} holds {tags[name]!r}" for name in PROMOTED_TAGS & tags.keys() if not _is_optional(tags[name], str)]
    for field, tag in (
        ("release", "sentry:release"),
        ("environment", "environment"),
        ("dist", "sentry:dist"),
        ("level", "level"),
    ):
        if data.get(field) and tags.get(tag) != data[field]:
            wrong.append(f"{field} is not promoted to the tag {tag}")
    wrong += [f"{name} would become now()" for name in ("datetime", "group_first_seen") if not _is_datetime(event.get(name))]
    if not re.fullmatch("[0-9a-f]{32}", event["event_id"]) or not re.fullmatch("[0-9a-f]{32}", event["primary_hash"]):
        wrong.append("an id or a hash is not 32 hex digits")
    if event["group_id"] >= 2**63:
        wrong.append("group_id does not fit a signed column")
    return wrong


def check_outcome(outcome: Any) -> list[str]:
    """Return why the outcomes processor or schema refuses an outcome, or would date it now()."""
    refusals = [*_schema_refusals("outcomes", outcome)]
    if not isinstance(outcome, dict):
        return [*refusals, "not an object"]
    checks: list[tuple[str, Check]] = [
        ("org_id", _is_unsigned),
        ("project_id", lambda value: value is None or _is_unsigned(value)),
        ("key_id", lambda value: value is None or _is_unsigned(value)),
        ("outcome", lambda value: _is_unsigned(value, 7)),
        ("reason", lambda value: value is None or isinstance(value, str)),
        ("event_id", lambda value: value is None or _is_uuid(value)),
        ("category", lambda value: value is None or _is_unsigned(value, 256)),
        ("quantity", lambda value: value is None or _is_unsigned(value)),
        ("timestamp", _is_datetime),
    ]
    required = {"outcome", "timestamp"}
    return refusals + [name for name, check in checks if (name in outcome or name in required) and not check(outcome.get(name))]


def _message_refusals(message: Any) -> Refusals:
    if not isinstance(message, list) or len(message) not in {3, 4}:
        yield "an array of 3 or 4 elements is expected"
        return
    version, operation, body = message[:3]
    if version != 2 or not _is_unsigned(version):
        yield "version is not the integer 2"
    if not isinstance(body, dict):
        yield "the body is no object"
    elif len(message) == 3:
        if operation == "insert" or not isinstance(operation, str):
            yield "an insert has 4 elements"
        if not _is_unsigned(body.get("project_id")):
            yield "project_id"
    elif operation != "insert":
        yield "only an insert has 4 elements"
    else:
        yield from _event_refusals(body)


def _event_refusals(event: dict[str, Any]) -> Refusals:
    if not _is_uuid(event.get("event_id")):
        yield "event_id"
    for name in ("group_id", "project_id"):
        if not _is_unsigned(event.get(name)):
            yield name
    for name in ("message", "primary_hash"):
        if not isinstance(event.get(name), str):
            yield name
    for name in ("datetime", "group_first_seen"):
        if name in event and not isinstance(event[name], str):
            yield name
    if event.get("retention_days") is not None and not _is_unsigned(event["retention_days"], 65_536):
        yield "retention_days"
    if not _is_optional(event.get("platform"), str):
        yield "platform"
    if isinstance(event.get("data"), dict):
        yield from _data_refusals(event["data"])
    else:
        yield "data"


def _data_refusals(data: dict[str, Any]) -> Refusals:
    for name, old_name in (("exception", "Exception"), ("threads", "Threads"), ("request", "Http"), ("user", "User")):
        if name in data and f"sentry.interfaces.{old_name}" in data:
            yield f"data.{name} is there twice"
    for name in ("location", "version"):
        if not _is_optional(data.get(name), str):
            yield f"data.{name}"
    if data.get("received") is not None and type(data["received"]) not in {int, float}:
        yield "data.received"
    if data.get("type") == "transaction":
        yield "data.type"
    for name, kind in (("errors", list), ("tags", list), ("modules", dict), ("contexts", dict), ("symbolicated_in_app", bool)):
        if not _is_optional(data.get(name), kind):
            yield f"data.{name}"
            return
    if not all(tag is None or (isinstance(tag, list) and len(tag) == 2) for tag in data.get("tags") or []):
        yield "data.tags"
    if not all(_is_optional(version, str) for version in (data.get("modules") or {}).values()):
        yield "data.modules"
    yield from _context_refusals(data.get("contexts") or {})
    for exception in _objects(data, "exception", "sentry.interfaces.Exception"):
        yield from [exception] if isinstance(exception, str) else _exception_refusals(exception)
    for thread in _objects(data, "threads", "sentry.interfaces.Threads"):
        if isinstance(thread, str):
            yield thread
        elif not _is_thread_id(thread.get("id")) or not _is_optional(thread.get("main"), bool):
            yield "threads.values.id"
    yield from _interface_refusals(data)


def _context_refusals(contexts: dict[str, Any]) -> Refusals:
    for name, context in contexts.items():
        if not _is_optional(context, dict):
            yield f"contexts.{name}"
            return
    trace, replay, flags = (contexts.get(name) or {} for name in ("trace", "replay", "flags"))
    if trace.get("trace_id") is not None and not _is_uuid(trace["trace_id"]):
        yield "contexts.trace.trace_id"
    if not _is_optional(trace.get("sampled"), bool):
        yield "contexts.trace.sampled"
    if replay.get("replay_id") is not None and not _is_uuid(replay["replay_id"]):
        yield "contexts.replay.replay_id"
    if not _is_optional(flags.get("values"), list):
        yield "contexts.flags.values"


def _exception_refusals(exception: dict[str, Any]) -> Refusals:
    if not _is_thread_id(exception.get("thread_id")):
        yield "exception.values.thread_id"
    for name in ("mechanism", "stacktrace"):
        if not _is_optional(exception.get(name), dict):
            yield f"exception.values.{name}"
            return
    frames = (exception.get("stacktrace") or {}).get("frames")
    if not _is_optional(frames, list):
        yield "stacktrace.frames"
        return
    for frame in frames or []:
        if frame is None:
            continue
        if not isinstance(frame, dict):
            yield "a frame is no object"
        elif frame.get("colno") is not None and not _is_unsigned(frame["colno"], 2**32):
            yield "colno"
        elif not _is_optional(frame.get("in_app"), bool):
            yield "in_app"


def _interface_refusals(data: dict[str, Any]) -> Refusals:
    for name in ("request", "sdk", "user"):
        if not _is_optional(data.get(name), dict):
            yield f"data.{name}"
            return
    headers = (data.get("request") or {}).get("headers")
    if not _is_optional(headers, list) or not all(
        pair is None or (isinstance(pair, list) and len(pair) == 2) for pair in headers or []
    ):
        yield "request.headers"
    if not _is_optional((data.get("sdk") or {}).get("integrations"), list):
        yield "sdk.integrations"
    user = data.get("user") or {}
    if not _is_optional(user.get("ip_address"), str):
        yield "user.ip_address"
    if not _is_optional(user.get("geo"), dict):
        yield "user.geo"


def _objects(data: dict[str, Any], *names: str) -> Iterator[dict[str, Any] | str]:
    """Return the objects of an interface's `values`, or the name of what is wrong with it."""
    for name in names:
        interface = data.get(name)
        values = interface.get("values") if isinstance(interface, dict) else None
        if not _is_optional(interface, dict) or not _is_optional(values, list):
            yield name
            continue
        for value in values or []:
            if isinstance(value, dict):
                yield value
            elif value is not None:
                yield f"{name}.values"


def _is_optional(value: Any, kind: type) -> bool:
    return value is None or isinstance(value, kind)


def _is_unsigned(value: Any, end: int = 2**64) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < end


def _is_thread_id(value: Any) -> bool:
    return value is None or isinstance(value, str) or _is_unsigned(value)


def _is_uuid(value: Any) -> bool:
    try:
        return isinstance(value, str) and uuid.UUID(value) is not None
    except ValueError:
        return False


def _is_datetime(value: Any) -> bool:
    """Snuba's parser takes a fraction of up to nine digits; Python's no more than six."""
    match = re.fullmatch(r"(.*\.\d{1,6})\d{0,3}Z", value) if isinstance(value, str) else None
    try:
        return match is not None and datetime.strptime(f"{match[1]}Z", DATETIME) is not None  # noqa: DTZ007 -- the Z is in the format
    except ValueError:
        return False


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


@cache
def _schema(topic: str) -> Callable[[Any], Any] | None:
    """Compile a published schema; None where there are no suites, which the conformance tests say aloud."""
    file = suites.ROOT / f"storage/schemas/{topic}.v1.schema.json"
    return fastjsonschema.compile(json.loads(file.read_text())) if file.exists() else None


def _schema_refusals(topic: str, value: Any) -> Refusals:
    validate = _schema(topic)
    try:
        if validate is not None:
            validate(value)
    except fastjsonschema.JsonSchemaException as error:
        yield f"schema: {error.message[:300]}"
