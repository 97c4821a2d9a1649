"""What the gateway writes into its spool: a head that says what a record is, before the body as it was received."""

from __future__ import annotations

import msgspec

from pipeline.model.category import DataCategory
from pipeline.model.outcome import Fate


class Arrival(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """The head of a request that was answered with 200; the record's body is the request's, still encoded.

    `received` is in epoch seconds. `event_id` is the one that the sender was told, or that the envelope gets (32 hex digits).
    """

    endpoint: str
    project_id: int
    public_key: str
    received: float
    event_id: str | None
    encodings: tuple[str, ...] = ()
    remote_addr: str | None = None
    event_category: int = int(DataCategory.ERROR)
    """What a request counts as that is answered and not processed."""
    user_agent: str | None = None
    release: str | None = None
    environment: str | None = None
    """These three are of browsers' reports, which do not name them."""
    content_type: str = ""
    """Of an OTLP request, which is protobuf or JSON."""


class Count(msgspec.Struct, frozen=True, array_like=True):
    """How much of a category of a project was refused for one reason."""

    project_id: int
    public_key: str | None
    fate: Fate
    reason: str
    category: DataCategory
    quantity: int


class Refusals(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """The head of a record without a body: what was refused in a second."""

    received: float
    counts: tuple[Count, ...]


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Arrival | Refusals)


def encode_head(head: Arrival | Refusals) -> bytes:
    """Return the bytes of a head."""
    return _ENCODER.encode(head)


def parse_head(data: bytes) -> Arrival | Refusals:
    """Read a head. Raises msgspec.DecodeError for bytes that are none."""
    head: Arrival | Refusals = _DECODER.decode(data)
    return head
