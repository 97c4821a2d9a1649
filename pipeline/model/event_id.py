"""Event ids: 32 lower-case hex digits. Senders may write them in the form of UUIDs."""

from __future__ import annotations

from typing import Any

import xxhash

from pipeline.model.ids import parse_uuid
from pipeline.model.record import Record

_NIL = "0" * 32


def has_event_id_form(value: Any) -> bool:
    """Whether a value has the form of an event id. The nil UUID has it, although it names no event."""
    return parse_uuid(value) is not None


def parse_event_id(value: Any) -> str | None:
    """Parse an event id, with or without dashes, in any case. None for any other value, and for the nil UUID."""
    event_id = parse_uuid(value)
    return None if event_id == _NIL else event_id


def derive_event_id(record: Record) -> str:
    """Return the id of an event that was sent without one. The same record of the same input gets the same id.

    Equal records in two files, or at two positions, get different ids, because they may be two events.
    """
    place = record.token if isinstance(record.position, tuple) else (record.source, record.position)
    digest = xxhash.xxh3_128(record.body)
    digest.update(repr(tuple(place)).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
