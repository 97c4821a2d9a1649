"""The form of records in a segment, and the names of the spool's files. Pure functions.

A record is a header of 44 bytes, the head, and the body, unless the body has a file of its own. The header has its own checksum.
So a damaged body costs one record, and a damaged header costs the bytes up to the next intact one.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

import xxhash

MAX_HEAD_BYTES = 65_536
MAX_INLINE_BODY_BYTES = 1_048_576
"""A larger body goes into a file of its own, so that a segment can be read in pieces of a few megabytes."""

_MAGIC = b"\xa5spl"
_HEADER = struct.Struct("<4sIQQQQ")  # magic, length of the head, length of the body, checksums of both, flags
_CHECKSUM = struct.Struct("<I")
HEADER_BYTES = _HEADER.size + _CHECKSUM.size
MAX_RECORD_BYTES = HEADER_BYTES + MAX_HEAD_BYTES + MAX_INLINE_BODY_BYTES
_IN_FILE = 1

_SEGMENT = re.compile(r"(\d{12})\.segment")
_BODY = re.compile(r"(\d{12})-(\d{11})\.body")


class SpoolPosition(NamedTuple):
    """A position in the spool: the number of a segment, and an offset in bytes. Later records have greater positions."""

    segment: int
    offset: int

    def to_text(self) -> str:
        """Return the text form, such as `7:4096`."""
        return f"{self.segment}:{self.offset}"

    @classmethod
    def parse(cls, text: str) -> SpoolPosition | None:
        """Parse the text form. None for any other text."""
        match = re.fullmatch(r"(\d{1,12}):(\d{1,11})", text, re.ASCII)
        return cls(int(match[1]), int(match[2])) if match else None


class Header(NamedTuple):
    """The fields of a record's header."""

    head_bytes: int
    body_bytes: int
    head_checksum: int
    body_checksum: int
    is_body_in_file: bool

    @property
    def record_bytes(self) -> int:
        """The size of the whole record in its segment."""
        return HEADER_BYTES + self.head_bytes + (0 if self.is_body_in_file else self.body_bytes)


class Span(NamedTuple):
    """A part of a segment: a record with intact head and inline body, or damaged bytes (`header` is None)."""

    start: int
    end: int
    header: Header | None


def segment_name(number: int) -> str:
    """Return the file name of a segment."""
    return f"{number:012}.segment"


def body_name(position: SpoolPosition) -> str:
    """Return the file name of the body of the record at a position."""
    return f"{position.segment:012}-{position.offset:011}.body"


def segment_number(name: str) -> int | None:
    """Return the number in the name of a segment's file. None for other files."""
    match = _SEGMENT.fullmatch(name)
    return int(match[1]) if match else None


def segment_of_body(name: str) -> int | None:
    """Return the segment that a body's file belongs to. None for other files."""
    match = _BODY.fullmatch(name)
    return int(match[1]) if match else None


def encode_record(head: bytes, body: bytes) -> list[bytes]:
    """Return the parts of a record whose body lies in the segment. Raises ValueError for a head or body that is too large."""
    if len(body) > MAX_INLINE_BODY_BYTES:
        raise ValueError(f"a body of {len(body)} bytes must go into a file of its own")
    return [_encode_header(head, len(body), xxhash.xxh3_64_intdigest(body), 0), head, body]


def encode_record_of_file(head: bytes, body_bytes: int, body_checksum: int) -> list[bytes]:
    """Return the parts of a record whose body has a file of its own. Raises ValueError for a head that is too large."""
    return [_encode_header(head, body_bytes, body_checksum, _IN_FILE), head]


def scan(data: bytes, *, is_whole: bool) -> Iterator[Span]:
    """Cut a piece of a segment into records and damaged stretches. The piece begins where a record begins.

    Unless the piece is the whole rest of its segment (`is_whole`), a record that ends after the piece is left for the next one.
    """
    at = 0
    while at < len(data):
        header = _read_header(data, at)
        end = at + header.record_bytes if header else at
        if header is not None and end <= len(data) and _is_intact(data, at, header):
            yield Span(at, end, header)
            at = end
            continue
        if not is_whole and (len(data) - at < MAX_RECORD_BYTES):
            return
        next_start = _find_record(data, at + 1)
        if not is_whole:  # a header may begin in the last bytes of the piece
            next_start = min(next_start, len(data) - HEADER_BYTES)
        yield Span(at, next_start, None)
        at = next_start


def end_of_records(data: bytes) -> int:
    """Return where the last intact record of a whole segment ends. The rest is a torn tail."""
    return max((span.end for span in scan(data, is_whole=True) if span.header is not None), default=0)


def _encode_header(head: bytes, body_bytes: int, body_checksum: int, flags: int) -> bytes:
    if len(head) > MAX_HEAD_BYTES:
        raise ValueError(f"a record's head has {MAX_HEAD_BYTES} bytes at most, not {len(head)}")
    fields = _HEADER.pack(_MAGIC, len(head), body_bytes, xxhash.xxh3_64_intdigest(head), body_checksum, flags)
    return fields + _CHECKSUM.pack(xxhash.xxh3_64_intdigest(fields) & 0xFFFFFFFF)


def _read_header(data: bytes, at: int) -> Header | None:
    if not data.startswith(_MAGIC, at) or len(data) - at < HEADER_BYTES:
        return None
    (checksum,) = _CHECKSUM.unpack_from(data, at + _HEADER.size)
    if xxhash.xxh3_64_intdigest(data[at : at + _HEADER.size]) & 0xFFFFFFFF != checksum:
        return None
    _, head_bytes, body_bytes, head_checksum, body_checksum, flags = _HEADER.unpack_from(data, at)
    return Header(head_bytes, body_bytes, head_checksum, body_checksum, flags == _IN_FILE)


def _is_intact(data: bytes, at: int, header: Header) -> bool:
    body_start = at + HEADER_BYTES + header.head_bytes
    if xxhash.xxh3_64_intdigest(data[at + HEADER_BYTES : body_start]) != header.head_checksum:
        return False
    if header.is_body_in_file:
        return True
    return xxhash.xxh3_64_intdigest(data[body_start : body_start + header.body_bytes]) == header.body_checksum


def _find_record(data: bytes, at: int) -> int:
    """Return where the next intact header begins, or the end of the data if there is none."""
    while (at := data.find(_MAGIC, at)) >= 0:
        if _read_header(data, at) is not None:
            return at
        at += 1
    return len(data)
