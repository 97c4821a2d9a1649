"""Records: the bytes of one input, as a broker or a file holds them, before they are parsed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

import msgspec


class Form(StrEnum):
    """How a record's bytes are parsed."""

    JSON = "json"
    """An event, or an ingest message with the event under `payload`."""
    MSGPACK = "msgpack"
    """An ingest message as Relay produces it (docs/spec/envelopes.md)."""
    ENVELOPE = "envelope"
    """What an SDK sent (docs/spec/envelopes.md)."""


class Token(NamedTuple):
    """Identity of a record's effects: where it was first read. The same record read again has the same token.

    `topic_id` is the id of the topic's log, not its name: a topic that was made again has another one.
    """

    topic_id: str
    partition: int
    offset: int


KEPT_OF_OVERSIZED = 65_536
"""How many bytes a dead letter keeps of a record that is too large to be held in memory, or to be produced."""

Position = int | tuple[int, int]


class Record(msgspec.Struct, frozen=True):
    """One input record.

    `source` is the input as given, or the topic; `position` the line or record number from 1, or (partition, offset).
    `received` is the arrival in epoch seconds, for forms that do not carry their own.
    `truncated_from` is set if `body` holds only the beginning of a record over the size limit: its full size in bytes.
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
    """Why the reader could not cut a whole record out of its input. Decode turns such a record into a dead letter."""


class Output(NamedTuple):
    """A record to produce: key, value and headers. The topic is kept beside it, see `Outputs`."""

    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]


Outputs = Mapping[str, Sequence[Output]]
"""Records to produce, by topic."""
