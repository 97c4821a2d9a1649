"""Converts values of messages into values of columns, or says why a message cannot become a row."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import msgspec

from pipeline.model.storage_message import LAST_SECOND

LARGEST_ID = 2**64
NIL = "00000000-0000-0000-0000-000000000000"
"""Stands for a missing id, because columns of ids hold no null."""
ZERO_TIME = "1970-01-01 00:00:00.000"


class Reason(StrEnum):
    """Why a message cannot become a row. The reason of its dead letter."""

    INVALID_JSON = "invalid_json"
    INVALID_MESSAGE = "invalid_message"
    """Valid JSON of another form: a field is missing or has another type."""
    UNKNOWN_VERSION = "unknown_version"
    UNKNOWN_OPERATION = "unknown_operation"
    REFUSED_ROW = "refused_row"
    """ClickHouse could not read the row that was made of the message."""


class NoRowError(Exception):
    """A message that cannot become a row. `detail` is a sentence that names the field."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


def text(value: Any) -> str:
    """Return a value of any type as text, "" for None.

    >>> text(None), text("a"), text(5), text(True), text({"a": 1})
    ('', 'a', '5', 'True', '{"a":1}')
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value)
    return msgspec.json.encode(value).decode()


def texts(values: Iterable[Any]) -> list[str]:
    """Return values of any type as texts. Nearly all are texts already."""
    return [value if value.__class__ is str else text(value) for value in values]


def parse_time(written: str) -> float | None:
    """Parse an ISO 8601 time to epoch seconds.

    Without a zone it is UTC. None for other texts and times out of the columns' range.
    """
    try:
        moment = datetime.fromisoformat(written)
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return seconds if 0 <= seconds < LAST_SECOND else None


def encode_time(epoch_s: float, digits: str = "milliseconds") -> str:
    """Return epoch seconds as ClickHouse reads a DateTime64, down to milliseconds or microseconds.

    A bare number would be read as seconds by some versions and as milliseconds by others.

    >>> encode_time(1772600767.123456)
    '2026-03-04 05:06:07.123'
    """
    if not 0 <= epoch_s < LAST_SECOND:
        return ZERO_TIME
    return datetime.fromtimestamp(epoch_s, UTC).isoformat(" ", digits).removesuffix("+00:00")


def check_id(name: str, value: int) -> None:
    """Raise NoRowError if a number does not fit into a column of ids. `name` names the field in the error."""
    if not 0 <= value < LARGEST_ID:
        raise NoRowError(Reason.INVALID_MESSAGE, f"{name} is {value}, and must be a whole number from 0 to 2^64 - 1")


def parse_uuid(name: str, value: Any) -> str:
    """Parse a UUID to the form with dashes. `name` names the field in the error. Raises NoRowError."""
    try:
        return str(uuid.UUID(value))
    except (ValueError, AttributeError, TypeError):
        raise NoRowError(Reason.INVALID_MESSAGE, f"{name} is no UUID: {str(value)[:50]!r}") from None
