"""The heads of the records that a gateway writes into its spool. After the head comes the body as it was received."""

from __future__ import annotations

import msgspec

from pipeline.model.category import DataCategory
from pipeline.model.outcome import Fate


class Arrival(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """The head of a request that was answered with 200. The record's body is the request's body, still encoded.

    `received` is in epoch seconds. `event_id` is the id that the sender was told, or that the envelope gets (32 hex digits).
    """

    endpoint: str
    project_id: int
    public_key: str
    received: float
    event_id: str | None
    encodings: tuple[str, ...] = ()
    remote_addr: str | None = None
    event_category: int = int(DataCategory.ERROR)
    """The category of a request that is answered but not processed."""
    user_agent: str | None = None
    release: str | None = None
    environment: str | None = None
    """User agent, release and environment are set for browsers' reports, whose body does not hold them."""
    content_type: str = ""
    """Set for OTLP requests, which are protobuf or JSON."""


class Count(msgspec.Struct, frozen=True, array_like=True):
    """How much of one category a project was refused for one reason."""

    project_id: int
    public_key: str | None
    fate: Fate
    reason: str
    category: DataCategory
    quantity: int


class Refusals(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """The head of a record without a body: the counts of what was refused in one second."""

    received: float
    counts: tuple[Count, ...]


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Arrival | Refusals)


def encode_head(head: Arrival | Refusals) -> bytes:
    """Return the bytes of a head."""
    return _ENCODER.encode(head)


def parse_head(data: bytes) -> Arrival | Refusals:
    """Parse a head. Raises msgspec.DecodeError."""
    head: Arrival | Refusals = _DECODER.decode(data)
    return head
