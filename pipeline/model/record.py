"""Record: the bytes of one input, as a broker or a file holds them, before anything is known about them."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import msgspec


class Form(StrEnum):
    """How a record's bytes are to be read."""

    JSON = "json"
    """An event, or an ingest message with the event under `payload`."""
    MSGPACK = "msgpack"
    """An ingest message as Relay produces it (spec/ingest.md, section 5)."""
    ENVELOPE = "envelope"
    """What an SDK sent (spec/ingest.md, section 4)."""


class Token(NamedTuple):
    """Identity of a record's effects: where it was first read. The same record read again has the same token.

    `topic_id` is the topic's id, not its name: a recreated topic is another one.
    """

    topic_id: str
    partition: int
    offset: int


KEPT_OF_OVERSIZED = 65_536
"""Bytes that a dead letter keeps of a record that is too large to be held, or to be produced whole."""

Position = int | tuple[int, int]


class Record(msgspec.Struct, frozen=True):
    """One input record.

    `source` is the input as given, or the topic; `position` the line or record number from 1, or (partition, offset).
    `received` is the arrival in epoch seconds, for forms that do not carry their own.
    `truncated_from` is the full size in bytes where `body` holds only the beginning of a record over the size limit.
    """

    body: bytes
    form: Form
    source: str
    position: Position
    received: float
    token: Token
    project_id: int | None = None
    truncated_from: int | None = None
    damage: str | None = None
    """Why the reader could not cut a whole record out of its input; decode makes a dead letter of it."""
