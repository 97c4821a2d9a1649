"""The body of the legacy store endpoint: an event as JSON, plain or compressed by the client. Pure functions."""

from __future__ import annotations

import base64
import binascii
import zlib
from typing import Any, NamedTuple

import msgspec

from pipeline.gateway.sizes import MAX_EVENT_BYTES, too_large
from pipeline.http.answers import RefusedRequestError
from pipeline.model.event_id import parse_event_id
from pipeline.stages.decode.event_json import InvalidJsonError, parse_json


class StoreBody(NamedTuple):
    """An event as JSON text, with its id (32 hex digits, or None) and its item type."""

    text: bytes
    event_id: str | None
    type: str


class _Known(msgspec.Struct):
    event_id: Any = None
    type: Any = None


def read_store_body(body: bytes) -> StoreBody:
    """Parse a body: JSON, base64 of JSON, or base64 of zlib-compressed JSON.

    Raises RefusedRequestError: 400 if it is none of these, 413 if the event is larger than 1 MiB.
    """
    text = body.strip()
    if not text:
        raise RefusedRequestError(400, "empty request body", reason="no_data")
    if not text.startswith(b"{"):
        text = _unpack(text)
    if len(text) > MAX_EVENT_BYTES:
        raise too_large("event")
    event_id, kind = _known_fields(text)
    return StoreBody(text, parse_event_id(event_id), "transaction" if kind == "transaction" else "event")


def _known_fields(text: bytes) -> tuple[Any, Any]:
    """Return `event_id` and `type` of an event. What workers can mend in JSON is no mistake."""
    try:
        known = msgspec.json.decode(text, type=_Known)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            value = parse_json(text).value
        except InvalidJsonError as error:
            raise RefusedRequestError(400, "failed to parse JSON", str(error)[:200], reason="invalid_json") from None
        return (value.get("event_id"), value.get("type")) if isinstance(value, dict) else (None, None)
    return known.event_id, known.type


def _unpack(text: bytes) -> bytes:
    try:
        packed = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise RefusedRequestError(400, "failed to decode request body", reason="invalid_json") from None
    if packed.lstrip().startswith(b"{"):
        return packed.strip()
    unpacker = zlib.decompressobj()
    try:
        unpacked = unpacker.decompress(packed, MAX_EVENT_BYTES + 1)
    except zlib.error:
        raise RefusedRequestError(400, "failed to decode request body", reason="invalid_json") from None
    if len(unpacked) > MAX_EVENT_BYTES:
        raise too_large("event")
    if not unpacker.eof:
        raise RefusedRequestError(400, "failed to decode request body", reason="invalid_json")
    return unpacked.strip()
