"""Storage messages as rows of the tables in schema/.

A row depends only on its message: the same bytes at the same position give the same row, also after a crash.

Messages that other readers of the topic refuse are refused here too (docs/spec/storage-messages.md), each with a `Reason`.
The columns level, environment, release, dist, transaction and user are filled from tags only.
"""

from __future__ import annotations

import hashlib
import ipaddress
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import orjson

from pipeline.model.record import Record
from pipeline.model.storage_message import INSERT, LAST_SECOND, PROTOCOL_VERSION
from pipeline.store.columns import NIL, ZERO_TIME, NoRowError, Reason, check_id, encode_time, parse_time, parse_uuid, text, texts
from pipeline.store.messages import (
    DEFAULT_RETENTION_DAYS,
    ControlBody,
    InsertMessage,
    StoredData,
    StoredException,
    StoredExceptions,
    StoredRequest,
    StoredSdk,
    StoredThreads,
    StoredUser,
)


class EventRow(NamedTuple):
    """An event's rows, each a JSON object without a line break: `event` for the table events, `body` for event_bodies.

    `received` is in epoch seconds.
    """

    project_id: int
    group_id: int
    received: float
    event: bytes
    body: bytes


class Control(NamedTuple):
    """A message that changes what is stored: groups are merged, taken apart or deleted.

    `changed_at` is when the sender decided it, `received` when the broker got it, both in epoch seconds.
    """

    operation: str
    project_id: int
    body: Mapping[str, Any]
    changed_at: float
    received: float


_envelope = msgspec.json.Decoder(list[msgspec.Raw])
_text_of = msgspec.json.Decoder(str)
_insert = msgspec.json.Decoder(InsertMessage)
_data = msgspec.json.Decoder(StoredData)
_control = msgspec.json.Decoder(ControlBody)

CONTROL_OPERATIONS = frozenset(
    {
        *(f"{when}_{what}" for when in ("start", "end") for what in ("delete_groups", "merge", "unmerge", "delete_tag")),
        "tombstone_events",
        "replace_group",
        "exclude_groups",
    }
)


def read_storage_message(record: Record) -> EventRow | Control:
    """Return an event's rows, or what a control message asks for. Raises NoRowError.

    `record.received` is the broker's time of the message. It is used for times that the message lacks.
    """
    try:
        parts = _envelope.decode(record.body)
        if not parts or bytes(parts[0]) != b"%d" % PROTOCOL_VERSION:
            raise NoRowError(Reason.UNKNOWN_VERSION, f"the message is no array that begins with {PROTOCOL_VERSION}")
        if len(parts) not in {3, 4}:
            raise NoRowError(Reason.INVALID_MESSAGE, f"the message has {len(parts)} parts, not 3 or 4")
        operation = _text_of.decode(parts[1])
        if len(parts) == 4:
            if operation != INSERT:
                raise NoRowError(Reason.UNKNOWN_OPERATION, f"a message of four parts says {operation[:50]!r}, not {INSERT!r}")
            return _event_row(_insert.decode(parts[2]), record)
        if operation not in CONTROL_OPERATIONS:
            raise NoRowError(Reason.UNKNOWN_OPERATION, f"a message of three parts says {operation[:50]!r}")
        return _control_message(operation, parts[2], record)
    except msgspec.ValidationError as error:
        raise NoRowError(Reason.INVALID_MESSAGE, str(error)) from None
    except (msgspec.DecodeError, orjson.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NoRowError(Reason.INVALID_JSON, str(error)) from None


def _control_message(operation: str, raw: msgspec.Raw, record: Record) -> Control:
    known = _control.decode(raw)
    check_id("project_id", known.project_id)
    changed_at = parse_time(known.datetime)
    body: dict[str, Any] = orjson.loads(bytes(raw))
    return Control(operation, known.project_id, body, record.received if changed_at is None else changed_at, record.received)


def _event_row(message: InsertMessage, record: Record) -> EventRow:
    check_id("group_id", message.group_id)
    check_id("project_id", message.project_id)
    data = _data.decode(message.data)
    if data.type == "transaction":
        raise NoRowError(Reason.INVALID_MESSAGE, "data.type is transaction, and the table holds errors")
    event_id = parse_uuid("event_id", message.event_id)
    happened = parse_time(message.datetime)
    timestamp = encode_time(record.received if happened is None else happened)
    received = data.received if data.received is not None and 0 < data.received < LAST_SECOND else record.received
    retention_days = DEFAULT_RETENTION_DAYS if message.retention_days is None else message.retention_days
    tags = sorted(_tags(data.tags or ()))
    first = dict(reversed(tags))
    contexts = data.contexts or {}
    trace = contexts.get("trace") or {}
    replay = contexts.get("replay") or {}
    flags = list(_flags(contexts.get("flags") or {}))
    exceptions = [each for each in ((data.exception or data.exception_alias or _NO_EXCEPTIONS).values or ()) if each is not None]
    frames = [
        frame for each in exceptions if each.stacktrace is not None for frame in each.stacktrace.frames or () if frame is not None
    ]
    request = data.request or _NO_REQUEST
    user = data.user or _NO_USER
    sdk = data.sdk or _NO_SDK
    source_partition, source_offset = record.position if isinstance(record.position, tuple) else (0, record.position)
    same = {
        "project_id": message.project_id,
        "group_id": message.group_id,
        "timestamp": timestamp,
        "event_id": event_id,
        "retention_days": retention_days,
    }
    row = same | {
        "received": encode_time(received),
        "primary_hash": parse_hash(message.primary_hash),
        "group_first_seen": _first_seen(message.group_first_seen),
        "type": data.type or "",
        "platform": message.platform or "",
        "level": first.get("level", ""),
        "environment": first.get("environment", ""),
        "release": first.get("sentry:release", ""),
        "dist": first.get("sentry:dist", ""),
        "transaction": first.get("transaction", ""),
        "user": first.get("sentry:user", ""),
        "user_id": text(user.id),
        "user_email": text(user.email),
        "user_name": text(user.username),
        "ip_address": _ip(user.ip_address),
        "country_code": text(user.geo.country_code) if user.geo else "",
        "title": text(data.title),
        "culprit": text(data.culprit),
        "location": data.location or "",
        "message": message.message,
        "logger": text(data.logger),
        "http_method": text(request.method),
        "http_referer": _referer(request.headers or ()),
        "url": text(request.url),
        "sdk_name": text(sdk.name),
        "sdk_version": text(sdk.version),
        "exception_types": texts([each.type for each in exceptions]),
        "exception_values": texts([each.value for each in exceptions]),
        "mechanism_types": [text(each.mechanism.type) if each.mechanism else "" for each in exceptions],
        "mechanism_handled": [_flag(each.mechanism.handled) if each.mechanism else None for each in exceptions],
        "frame_functions": texts([frame.function for frame in frames]),
        "frame_modules": texts([frame.module for frame in frames]),
        "frame_filenames": texts([frame.filename for frame in frames]),
        "frame_abs_paths": texts([frame.abs_path for frame in frames]),
        "frame_packages": texts([frame.package for frame in frames]),
        "frame_lines": [_line(frame.lineno) for frame in frames],
        "frame_in_app": [int(bool(frame.in_app)) for frame in frames],
        "is_in_main_thread": _is_in_main_thread(exceptions, data.threads),
        "symbolicated_in_app": _flag(data.symbolicated_in_app),
        "trace_id": _context_uuid("contexts.trace.trace_id", trace.get("trace_id")),
        "span_id": _span(trace.get("span_id")),
        "trace_sampled": _sampled(trace.get("sampled")),
        "replay_id": _replay_id(replay.get("replay_id"), first.get("replayId")),
        "flag_keys": [key for key, _ in flags],
        "flag_values": [value for _, value in flags],
        "processing_errors": len(data.errors or ()),
        "tags": first,
        "tag_keys": [key for key, _ in tags],
        "tag_values": [value for _, value in tags],
        "source_partition": source_partition,
        "source_offset": source_offset,
    }
    body = same | {"body": bytes(message.data).decode()}
    return EventRow(message.project_id, message.group_id, received, orjson.dumps(row), orjson.dumps(body))


_NO_EXCEPTIONS, _NO_REQUEST, _NO_USER, _NO_SDK = StoredExceptions(), StoredRequest(), StoredUser(), StoredSdk()


def _first_seen(written: str) -> str:
    seconds = parse_time(written)
    return ZERO_TIME if seconds is None else encode_time(seconds)


def _context_uuid(name: str, value: Any) -> str:
    return NIL if value is None else parse_uuid(name, value)


def parse_hash(value: str) -> str:
    """Return a primary hash as a UUID with dashes. A hash of another form is hashed once more, as Snuba does."""
    try:
        return str(uuid.UUID(value))
    except ValueError:
        return str(uuid.UUID(hashlib.md5(value.encode(), usedforsecurity=False).hexdigest()))


def _tags(pairs: Iterable[tuple[Any, Any] | None]) -> Iterator[tuple[str, str]]:
    for pair in pairs:
        if pair is not None and pair[0] is not None and pair[1] is not None:
            yield text(pair[0]), text(pair[1])


def _flags(context: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    values = context.get("values") or ()
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise NoRowError(Reason.INVALID_MESSAGE, "contexts.flags.values is no list")
    for flag in values:
        if isinstance(flag, dict) and flag.get("flag") is not None and flag.get("result") is not None:
            yield text(flag["flag"]), _lower_bool(flag["result"])


def _lower_bool(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else text(value)


def _referer(headers: Iterable[tuple[Any, Any] | None]) -> str:
    for pair in headers:
        if pair is not None and (pair[0] == "Referer" or pair[0] == "Referrer"):
            return text(pair[1])
    return ""


def _ip(value: str | None) -> str:
    try:
        return str(ipaddress.ip_address(value)) if value else ""
    except ValueError:
        return ""


def _line(value: Any) -> int:
    is_line = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**32
    return value if is_line else 0


def _flag(value: Any) -> int | None:
    return int(value) if isinstance(value, bool) else None


def _sampled(value: Any) -> int | None:
    if value is None or isinstance(value, bool):
        return _flag(value)
    raise NoRowError(Reason.INVALID_MESSAGE, "contexts.trace.sampled is neither true nor false")


def _span(value: Any) -> str:
    """Return a span's id as 16 hexadecimal digits, "" if it is none."""
    try:
        number = int(value, 16) if isinstance(value, str) else -1
    except ValueError:
        return ""
    return f"{number:016x}" if 0 <= number < 2**64 else ""


def _replay_id(context: Any, tag: str | None) -> str:
    if context is not None:
        return parse_uuid("contexts.replay.replay_id", context)
    try:
        return str(uuid.UUID(tag)) if tag else NIL
    except ValueError:
        return NIL


def _is_in_main_thread(exceptions: Sequence[StoredException], threads: StoredThreads | None) -> int | None:
    """Return whether the exception was raised in the main thread. None if the event does not say."""
    ids = {each.thread_id for each in exceptions if each.thread_id is not None}
    for thread in (threads and threads.values) or ():
        if thread is not None and thread.id in ids and thread.id is not None:
            return _flag(thread.main)
    return None
