"""Event ids: 32 lower-case hex digits; senders may write them as UUIDs do."""

from __future__ import annotations

import re
from typing import Any

import xxhash

from pipeline.model.record import Record

_FORM = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NIL = "0" * 32


def has_event_id_form(value: Any) -> bool:
    """Say whether a value is written as an event id; the nil UUID is, though it names no event."""
    return isinstance(value, str) and _FORM.fullmatch(value) is not None


def parse_event_id(value: Any) -> str | None:
    """Read an event id as a sender wrote it: with or without dashes, in any case. None for anything else and for nil."""
    if not has_event_id_form(value):
        return None
    event_id: str = value.replace("-", "").lower()
    return None if event_id == _NIL else event_id


def derive_event_id(record: Record) -> str:
    """Make the id of an event that was sent without one: the same record at the same position always gets the same."""
    digest = xxhash.xxh3_128(record.body)
    digest.update(repr(record.position).encode())
    return digest.hexdigest()
