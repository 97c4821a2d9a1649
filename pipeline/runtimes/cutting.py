"""Cut a byte stream into records, holding no more than one record of the allowed size."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader

KEPT_OF_OVERSIZED = 65_536
"""Bytes kept of a record over the limit, so that a person can tell what it was."""

_CHUNK = 1 << 18
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""What some editors put before UTF-8; JSON knows no such character."""


@dataclass(frozen=True, slots=True)
class Cut:
    """One record's bytes and its number: the line for lines, else the record, both from 1."""

    number: int
    body: bytes
    truncated_from: int | None = None
    damage: str | None = None
    ended_with_stream: bool = False
    """Nothing but the end of the stream says that the record is whole."""


def cut_lines(stream: BufferedReader, max_bytes: int) -> Iterator[Cut]:
    """Cut at newlines. Blank lines are not records, but they count as lines."""
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
    """Take the whole stream as one record; an empty one is one too, so that no file disappears."""
    body = stream.read(max_bytes + 1)
    if len(body) <= max_bytes:
        yield Cut(1, body.removeprefix(_BYTE_ORDER_MARK), ended_with_stream=True)
        return
    kept, size = body[:KEPT_OF_OVERSIZED], len(body)
    del body
    yield Cut(1, kept, truncated_from=size + _drain(stream))


def cut_msgpack(stream: BufferedReader, max_bytes: int) -> Iterator[Cut]:
    """Cut a stream of msgpack values. Garbage ends it: the rest is one damaged record (design, section 4)."""
    number = 0
    while True:
        number += 1
        scan = _MsgpackScan(stream, max_bytes)
        try:
            if not scan.value():
                return
        except _GarbageError as error:
            rest = stream.read(max_bytes)
            body = bytes(scan.kept) + rest
            size = scan.size + len(rest) + _drain(stream)
            whole = size == len(body)
            kept = body if whole else body[:KEPT_OF_OVERSIZED]
            yield Cut(number, kept, None if whole else size, f"invalid_msgpack: {error}", ended_with_stream=True)
            return
        if scan.size > max_bytes:
            yield Cut(number, bytes(scan.kept[:KEPT_OF_OVERSIZED]), truncated_from=scan.size)
        else:
            yield Cut(number, bytes(scan.kept))


def _drain(stream: BufferedReader) -> int:
    size = 0
    while chunk := stream.read(_CHUNK):
        size += len(chunk)
    return size


class _GarbageError(Exception):
    """Bytes that are no msgpack value, or that end in the middle of one."""


_LENGTH_BYTES = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xC7: 1, 0xC8: 2, 0xC9: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
"""bin, ext and str: how many bytes hold the length."""
_FIXED_BYTES = {0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
_FIXED_BYTES |= {0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17}
_UNPACK = {1: ">B", 2: ">H", 4: ">I"}


class _MsgpackScan:
    """Find where one value ends without building it: no recursion, and no more than `max_bytes` kept."""

    def __init__(self, stream: BufferedReader, max_bytes: int) -> None:
        self._stream = stream
        self._max_bytes = max_bytes
        self.kept = bytearray()
        self.size = 0

    def value(self) -> bool:
        """Scan one value; false at the clean end of the stream. Raises _GarbageError."""
        open_values = 1
        while open_values:
            head = self._stream.read(1)
            if not head:
                if self.size == 0:
                    return False
                raise _GarbageError("the stream ends inside a message")
            first = head[0]
            self._keep(head)
            if self.size == 1 and (first <= 0x7F or first >= 0xE0 or 0xCC <= first <= 0xD3):
                raise _GarbageError("a number where a message should begin")
            open_values += self._rest_of(first) - 1
        return True

    def _rest_of(self, first: int) -> int:
        """Take the rest of a value that begins with `first`; give how many values are inside it."""
        if first <= 0x7F or first >= 0xE0 or first in {0xC0, 0xC2, 0xC3}:
            return 0
        if first <= 0x8F:
            return 2 * (first & 0x0F)
        if first <= 0x9F:
            return first & 0x0F
        if first <= 0xBF:
            self._take(first & 0x1F)
        elif first in _FIXED_BYTES:
            self._take(_FIXED_BYTES[first])
        elif first in _LENGTH_BYTES:
            extra = 1 if 0xC7 <= first <= 0xC9 else 0
            self._take(self._number(_LENGTH_BYTES[first]) + extra)
        elif first in {0xDC, 0xDD}:
            return self._number(2 if first == 0xDC else 4)
        elif first in {0xDE, 0xDF}:
            return 2 * self._number(2 if first == 0xDE else 4)
        else:
            raise _GarbageError(f"byte 0x{first:02x} begins no value")
        return 0

    def _number(self, size: int) -> int:
        data = self._take(size)
        return int(struct.unpack(_UNPACK[size], data)[0])

    def _take(self, size: int) -> bytes:
        """Read `size` bytes in bounded pieces; give the last piece, which is all of them where they are few."""
        piece = b""
        while size > 0:
            piece = self._stream.read(min(size, _CHUNK))
            if not piece:
                raise _GarbageError("the stream ends inside a message")
            self._keep(piece)
            size -= len(piece)
        return piece

    def _keep(self, data: bytes) -> None:
        self.size += len(data)
        if len(self.kept) <= self._max_bytes:
            self.kept += data
