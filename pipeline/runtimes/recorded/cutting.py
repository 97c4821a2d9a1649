"""Cut a byte stream into records. At most one record of the allowed size is held in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader

from pipeline.model.record import KEPT_OF_OVERSIZED
from pipeline.runtimes.recorded.msgpack_scan import NO_MESSAGE, GarbageError, scan

_CHUNK = 1 << 18
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""Byte-order mark that some editors put before UTF-8. JSON does not allow it."""


@dataclass(frozen=True, slots=True)
class Cut:
    """One record's bytes and its number: the line for lines, else the record, both from 1."""

    number: int
    body: bytes
    truncated_from: int | None = None
    damage: str | None = None
    ended_with_stream: bool = False
    """Whether only the end of the stream ends the record, so that it may be cut off."""


def cut_lines(stream: BufferedReader, max_bytes: int) -> Iterator[Cut]:
    """Cut at newlines. Blank lines are skipped, but counted in line numbers."""
    number = 0
    while line := stream.readline(max_bytes + 2):
        number += 1
        has_end = line.endswith(b"\n")
        if has_end or len(line) <= max_bytes:
            body = line.strip(b" \t\r\n")
            if number == 1:
                body = body.removeprefix(_BYTE_ORDER_MARK)
            if len(body) > max_bytes:
                yield Cut(number, body[:KEPT_OF_OVERSIZED], truncated_from=len(body))
            elif body:
                yield Cut(number, body, ended_with_stream=not has_end)
            continue
        kept, size = line[:KEPT_OF_OVERSIZED], len(line)
        del line
        while rest := stream.readline(_CHUNK):
            size += len(rest)
            if rest.endswith(b"\n"):
                size -= 1
                break
        yield Cut(number, kept, truncated_from=size)


def cut_whole(stream: BufferedReader, max_bytes: int) -> Iterator[Cut]:
    """Yield the whole stream as one record. An empty stream is a record too, so that no file disappears."""
    body = stream.read(max_bytes + 1)
    if len(body) <= max_bytes:
        yield Cut(1, body.removeprefix(_BYTE_ORDER_MARK), ended_with_stream=True)
        return
    kept, size = body[:KEPT_OF_OVERSIZED], len(body)
    del body
    yield Cut(1, kept, truncated_from=size + _drain(stream))


def cut_msgpack(stream: BufferedReader, max_bytes: int) -> Iterator[Cut]:
    """Cut a stream of msgpack values. Bytes that are not msgpack end the stream, and the rest becomes one damaged record."""
    values = _MsgpackValues(stream, max_bytes)
    number, damage = 0, None
    while damage is None:
        number += 1
        try:
            if not values.read():
                return
        except GarbageError as error:
            values.read_rest()
            damage = f"invalid_msgpack: {error}"
        whole = values.size <= max_bytes
        body = bytes(values.kept if whole else values.kept[:KEPT_OF_OVERSIZED])
        yield Cut(number, body, None if whole else values.size, damage, ended_with_stream=damage is not None)


def _drain(stream: BufferedReader) -> int:
    size = 0
    while chunk := stream.read(_CHUNK):
        size += len(chunk)
    return size


class _MsgpackValues:
    """Reads the values of a stream one after the other. Little more than `max_bytes` of each is kept in memory."""

    def __init__(self, stream: BufferedReader, max_bytes: int) -> None:
        self._stream = stream
        self._max_bytes = max_bytes
        self._ahead = b""
        """Bytes read from the stream. Those before `_at` are processed."""
        self._at = 0
        self.kept = bytearray()
        self.size = 0

    def read(self) -> bool:
        """Read the next value into `kept`. False at the clean end of the stream. Raises GarbageError."""
        self.kept, self.size = bytearray(), 0
        if self._at == len(self._ahead) and not self._read_ahead():
            return False
        if self._ahead[self._at] in NO_MESSAGE:
            raise GarbageError("a number or nothing where a message should begin")
        open_values = 1
        while True:
            end, open_values = scan(self._ahead, self._at, open_values)
            self._pass(end)
            if not open_values:
                return True
            if not self._read_ahead():
                raise GarbageError("the stream ends inside a message")

    def read_rest(self) -> None:
        """Treat the rest of the stream as part of this value."""
        self._pass(len(self._ahead))
        while piece := self._stream.read(_CHUNK):
            self._keep(piece)

    def _pass(self, end: int) -> None:
        """Move on to `end`, reading more in bounded pieces if needed, since a text may be long. Raises GarbageError."""
        self._keep(self._ahead[self._at : end])
        missing = end - len(self._ahead)
        self._at = min(end, len(self._ahead))
        while missing > 0:
            piece = self._stream.read(min(missing, _CHUNK))
            if not piece:
                raise GarbageError("the stream ends inside a message")
            self._keep(piece)
            missing -= len(piece)

    def _read_ahead(self) -> bool:
        piece = self._stream.read1(_CHUNK)
        self._ahead, self._at = self._ahead[self._at :] + piece, 0
        return bool(piece)

    def _keep(self, data: bytes) -> None:
        self.size += len(data)
        if len(self.kept) <= self._max_bytes:
            self.kept += data
