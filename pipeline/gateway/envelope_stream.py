"""Reads an envelope piece by piece, so that 200 MiB of attachments are never in memory. It agrees with `parse_envelope`.

The payload of an item is kept only if it is needed (events, client reports, containers). Of other items only the size is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from pipeline.gateway.sizes import Sizes
from pipeline.model.envelope import MAX_ITEMS, Dsn, EnvelopeError, read_header
from pipeline.model.event_id import has_event_id_form, parse_event_id

KEPT = frozenset({"event", "security", "client_report"})
"""Types of items whose payload is kept."""
MAX_HEADER_BYTES = 1_000_000
_CONTAINERS = frozenset(f"application/vnd.sentry.items.{name}+json" for name in ("log", "span.v2", "trace-metric"))
"""Content types of items that contain many others. Their header says how many."""


MAX_TIME = 50
"""The most characters of a time. A longer text is not read as a time."""


class EnvelopeHeader(NamedTuple):
    """The envelope's own header. `event_id` is 32 lower-case hex digits."""

    event_id: str | None
    dsn: Dsn | None


class StreamedItem(NamedTuple):
    """One item. `contained` is how many things it contains (1 for most types). `payload` is None if it was not kept."""

    type: str
    size: int
    contained: int
    payload: bytes | None


class EnvelopeStream:
    """Reads an envelope from pieces. `header` is read at once. `items` may be iterated once.

    `sent_at` is the sender's clock in the form in which it was sent.

    Raises EnvelopeError in the same cases as `parse_envelope`, and RefusedRequestError (413) as soon as something is too large.
    """

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._window = _Window(pieces)
        if self._window.is_at_end():
            raise EnvelopeError("empty request body")
        header = self._window.header("invalid envelope header")
        sent_id, sent_dsn, sent_at = header.get("event_id"), header.get("dsn"), header.get("sent_at")
        self.sent_at = sent_at if isinstance(sent_at, str) and len(sent_at) <= MAX_TIME else None
        self.header = EnvelopeHeader(parse_event_id(sent_id), Dsn.parse(sent_dsn))
        is_bad_id = self.header.event_id is None and sent_id is not None and not has_event_id_form(sent_id)
        if is_bad_id or (self.header.dsn is None and sent_dsn is not None):
            raise EnvelopeError("invalid envelope header")

    def items(self) -> Iterator[StreamedItem]:
        """Yield the items in order."""
        sizes = Sizes()
        count = 0
        while not self._window.is_at_end():
            if count == MAX_ITEMS:
                raise EnvelopeError(f"more than {MAX_ITEMS} items")
            count += 1
            yield self._item(sizes)

    def _item(self, sizes: Sizes) -> StreamedItem:
        header = self._window.header("invalid item header")
        kind, length = header.get("type"), header.get("length")
        if not isinstance(kind, str) or (length is not None and (type(length) is not int or length < 0)):
            raise EnvelopeError("invalid item header")
        is_container = header.get("content_type") in _CONTAINERS
        is_kept = kind in KEPT or is_container
        if length is None:
            payload, size = self._window.line(Sizes.largest(kind, is_container=is_container), is_kept=is_kept)
            sizes.add(kind, size, is_container=is_container)
        else:
            size = length
            sizes.add(kind, size, is_container=is_container)
            payload = self._window.take(length, is_kept=is_kept)
        return StreamedItem(kind, size, _count_contained(header, payload) if is_container else 1, payload if is_kept else None)


class _Contained(msgspec.Struct):
    items: list[msgspec.Raw]


def _count_contained(header: dict[str, Any], payload: bytes) -> int:
    """Return how many things a container holds. Raises EnvelopeError if its header says another number."""
    try:
        count = len(msgspec.json.decode(payload, type=_Contained).items)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise EnvelopeError("invalid item container") from None
    if header.get("item_count") != count:
        raise EnvelopeError("item_count does not match the item container")
    return count


class _Window:
    """A window on the pieces. It holds the bytes from just before `at` up to where reading has come."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._data = b""
        self._at = 0
        self._is_first = True

    def is_at_end(self) -> bool:
        """Whether the pieces are used up."""
        return self._at >= len(self._data) and not self._fill()

    def header(self, refusal: str) -> dict[str, Any]:
        """Read the next JSON object, which should be one line, and the end of its line."""
        while True:
            has_line = self._data.find(b"\n", self._at) >= 0
            can_grow = len(self._data) - self._at < MAX_HEADER_BYTES
            if not has_line and can_grow and self._fill():
                continue
            try:
                header, end = read_header(self._data, self._at, refusal)
            except EnvelopeError:
                if can_grow and self._fill():  # the object may go on after its first line
                    continue
                raise
            if end == len(self._data) and not self._data.endswith(b"\n") and self._fill():
                continue  # to see what follows the object
            self._at = end
            return header

    def take(self, length: int, *, is_kept: bool) -> bytes:
        """Read a payload of a known length, and the end of its line. Return the payload if it is kept, else nothing."""
        kept: list[bytes] = []
        while length:
            if self._at >= len(self._data) and not self._fill():
                raise EnvelopeError("unexpected end of file")
            part = self._data[self._at : self._at + length]
            length -= len(part)
            self._at += len(part)
            if is_kept:
                kept.append(part)
        if not self.is_at_end():
            if self._data[self._at : self._at + 1] != b"\n":
                raise EnvelopeError("missing newline after header or payload")
            self._at += 1
        return b"".join(kept)

    def line(self, max_kept: int, *, is_kept: bool) -> tuple[bytes, int]:
        """Read a payload up to the end of its line. Return the part that is kept, and the size of the whole."""
        kept: list[bytes] = []
        size = 0
        while not self.is_at_end():
            end = self._data.find(b"\n", self._at)
            part = self._data[self._at : end if end >= 0 else len(self._data)]
            size += len(part)
            self._at += len(part) + (end >= 0)
            if is_kept and size <= max_kept:
                kept.append(part)
            if end >= 0:
                break
        return b"".join(kept), size

    def _fill(self) -> bool:
        """Read the next piece that is not empty. False if there is none."""
        for piece in self._pieces:
            if piece:
                # One byte before `at` stays: an offset of 0 means the envelope's own header.
                drop = max(0, self._at - 1)
                self._data = self._data[drop:] + piece
                self._at -= drop
                return True
        return False
