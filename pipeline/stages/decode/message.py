"""Ingest messages: what Relay puts on the input topic, as msgpack or as a line of JSON. See docs/spec/envelopes.md."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgpack

from pipeline.model.event_id import parse_event_id
from pipeline.model.ip_address import parse_ip
from pipeline.model.processing_error import describe, invalid_data
from pipeline.stages.decode.event_json import Parsed

OTHER_TYPES = frozenset({"attachment", "attachment_chunk", "user_report", "feedback", "transaction"})
"""Types of messages that Relay sends and that hold no error event."""

_EVENT_KEYS = frozenset(
    [
        "breadcrumbs",
        "contexts",
        "exception",
        "level",
        "logentry",
        "message",
        "platform",
        "sdk",
        "stacktrace",
        "tags",
        "threads",
        "timestamp",
    ]
)
"""Fields that only an event has at its root."""
_LONGEST_NUMBER = 19
_LONGEST_TIME = 50
_LAST_ARRIVAL = 2**32
"""Upper bound of arrivals in epoch seconds (excluded): the storage holds 32 bits."""


class RefusalError(Exception):
    """A record, or a part of one, that cannot be decoded. `reason` is one of Relay's; the message is for people."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        super().__init__(detail)


class IngestMessage(NamedTuple):
    """A message's checked fields. None stands for absent or unusable ones. `errors` lists unusable values.

    `payload` is the event's JSON, or the event itself if it was sent as an object. `received` is in epoch seconds.
    """

    type: str
    project_id: int | None
    event_id: str | None
    received: float | None
    remote_addr: str | None
    key_id: int | None
    payload: bytes | Parsed
    errors: list[dict[str, Any]]
    sent_at: str | None = None
    """The sender's clock when it sent the event, as text of any form."""


def is_message(root: dict[str, Any]) -> bool:
    """Whether an object is a message: it has `payload`, or `start_time` and `project_id`, and no field that only events have."""
    wraps = "payload" in root or ("start_time" in root and "project_id" in root)
    return wraps and _EVENT_KEYS.isdisjoint(root)


def unpack(body: bytes) -> dict[str, Any]:
    """Parse one msgpack map. Raises RefusalError. Size and depth are bounded by the length of the body and by msgpack itself."""
    try:
        message = msgpack.unpackb(body, strict_map_key=False)
    except (ValueError, TypeError, OverflowError, msgpack.UnpackException) as error:
        raise RefusalError("invalid_msgpack", f"{type(error).__name__}: {error}") from None
    if not isinstance(message, dict):
        raise RefusalError("invalid_msgpack", "a message is a map")
    return message


def read_message(root: dict[str, Any], parsed: Parsed | None = None) -> IngestMessage:
    """Check a message's fields. Raises RefusalError if the type is unknown, the project unusable, or the payload missing."""
    kind = root.get("type")
    if kind != "event" and (not isinstance(kind, str) or kind not in OTHER_TYPES):
        raise RefusalError("payload", f"unknown message type: {describe(kind)}")
    project_id = root.get("project_id")
    errors: list[dict[str, Any]] = []
    return IngestMessage(
        kind,
        project_id if type(project_id) is int else None,
        _checked("event_id", root, parse_event_id, errors),
        _checked("start_time", root, _arrival, errors),
        _checked("remote_addr", root, _ip_address, errors),
        _checked("key_id", root, key_number, errors),
        _payload(root.get("payload"), parsed) if kind == "event" else b"",
        errors,
        sent_at if isinstance(sent_at := root.get("sent_at"), str) and len(sent_at) <= _LONGEST_TIME else None,
    )


def _payload(payload: Any, parsed: Parsed | None) -> bytes | Parsed:
    if isinstance(payload, bytes):
        return payload
    if isinstance(payload, dict):
        return Parsed(payload) if parsed is None else parsed._replace(value=payload)
    if isinstance(payload, str):
        try:
            return payload.encode()
        except UnicodeEncodeError:
            raise RefusalError("invalid_json", "lone surrogate") from None
    if payload is None:
        raise RefusalError("no_event_payload", "the message has no payload")
    raise RefusalError("payload", f"a payload is JSON, not {describe(payload)}")


def _checked(name: str, root: dict[str, Any], read: Any, errors: list[dict[str, Any]]) -> Any:
    """Parse a field. If it was sent and cannot be used, add it to `errors`."""
    sent = root.get(name)
    if sent is None:
        return None
    value = read(sent)
    if value is None:
        errors.append(invalid_data(name, sent))
    return value


def key_number(value: Any) -> int | None:
    """Parse the number of a project's key. The gateway sends it as a number beside the payload, Relay as text inside it."""
    if type(value) is str and value.isascii() and value.isdecimal() and len(value) <= _LONGEST_NUMBER:
        value = int(value)
    return value if type(value) is int and 0 < value < 2**63 else None


def _arrival(value: Any) -> float | None:
    return float(value) if type(value) in {int, float} and 0 <= value < _LAST_ARRIVAL else None


def _ip_address(value: Any) -> str | None:
    address = parse_ip(value) if isinstance(value, str) else None
    return None if address is None else str(address)
