"""The reading side: batches of records with their positions, in the order in which they were written."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import xxhash

from pipeline.spool.files import SpoolFiles, write_whole
from pipeline.spool.segment import (
    HEADER_BYTES,
    MAX_RECORD_BYTES,
    Header,
    SpoolPosition,
    body_name,
    scan,
    segment_name,
    segment_number,
)

log = logging.getLogger(__name__)

READ_BYTES = 4 * MAX_RECORD_BYTES
PIECE_BYTES = 262_144
"""How much of a large body is read at once."""
MAX_PUT_ASIDE_BYTES = 67_108_864
"""How many damaged bytes are kept in all. Further ones are only counted, so that a broken disk is not filled with them."""


@dataclass(frozen=True, slots=True)
class SpoolRecord:
    """One record. `end` is the position after it. `body_bytes` is the size of its body, which `pieces` yields."""

    position: SpoolPosition
    end: SpoolPosition
    head: bytes
    body_bytes: int
    body: bytes | None
    """The whole body, unless it has a file of its own."""
    files: SpoolFiles

    def pieces(self) -> Iterator[bytes]:
        """Yield the body, in pieces if it is large. Raises OSError if its file cannot be read."""
        if self.body is not None:
            yield self.body
            return
        for offset in range(0, self.body_bytes, PIECE_BYTES):
            yield self.files.read(body_name(self.position), offset, PIECE_BYTES)


@dataclass(frozen=True, slots=True)
class SpoolBatch:
    """Records in order. Once they are committed, everything before `end` may be deleted."""

    records: tuple[SpoolRecord, ...]
    start: SpoolPosition
    end: SpoolPosition


class SpoolReader:
    """Reads from a position up to what the writer has made durable. Not thread-safe.

    Damaged bytes, and records whose body is damaged or missing, are put aside into a file and counted in `broken`.
    """

    def __init__(self, files: SpoolFiles, end: Callable[[], SpoolPosition], start: SpoolPosition) -> None:
        self._files = files
        self._end = end
        self.position = start
        self.broken = 0
        """How many records, or damaged stretches between records, could not be read."""

    def read(self, max_records: int, max_bytes: int) -> SpoolBatch | None:
        """Return the next batch, or None if there is nothing to read now. Raises OSError if a segment cannot be read.

        A batch ends at either limit. The record that exceeds `max_bytes` (bodies in files count) is its last. A batch without
        records moves past damaged bytes.
        """
        start = self.position
        records: list[SpoolRecord] = []
        size = 0
        for record in self._records():
            if record is not None:
                records.append(record)
                size += record.body_bytes + len(record.head)
            if len(records) >= max_records or size >= max_bytes:
                break
        if self.position == start:
            return None
        return SpoolBatch(tuple(records), start, self.position)

    def _records(self) -> Iterator[SpoolRecord | None]:
        """Yield the records, and None for damaged ones. `position` is moved past each before it is yielded."""
        end = self._end()
        while self.position < end:
            number, offset = self.position
            data, is_whole = self._read_piece(end)
            for span in scan(data, is_whole=is_whole):
                before = SpoolPosition(number, offset + span.start)
                self.position = SpoolPosition(number, offset + span.end)
                if span.header is None:
                    self._put_aside(before, data[span.start : span.end])
                    yield None
                else:
                    yield self._record(before, span.header, data[span.start : span.end])
            if is_whole and self.position.segment == number:
                following = self._next_segment(number, end)
                if following is None:
                    return
                self.position = SpoolPosition(following, 0)

    def _read_piece(self, end: SpoolPosition) -> tuple[bytes, bool]:
        """Return the next bytes of the current segment, and whether they are all of its rest."""
        number, offset = self.position
        wanted = READ_BYTES if number < end.segment else min(READ_BYTES, end.offset - offset)
        try:
            data = self._files.read(segment_name(number), offset, wanted)
        except FileNotFoundError:  # an earlier process has committed and deleted it
            return b"", True
        return data, len(data) < READ_BYTES

    def _next_segment(self, number: int, end: SpoolPosition) -> int | None:
        """Return the number of the next segment to read, or None if the writer still uses this one."""
        if number >= end.segment:
            return None
        numbers = (segment_number(name) for name in self._files.sizes())
        return min((found for found in numbers if found is not None and number < found < end.segment), default=end.segment)

    def _record(self, position: SpoolPosition, header: Header, data: bytes) -> SpoolRecord | None:
        head_end = HEADER_BYTES + header.head_bytes
        head = data[HEADER_BYTES:head_end]
        body = None if header.is_body_in_file else data[head_end:]
        record = SpoolRecord(position, self.position, head, header.body_bytes, body, self._files)
        if header.is_body_in_file and not self._has_body(record, header):
            self._put_aside(position, data)
            with contextlib.suppress(OSError):
                self._files.rename(body_name(position), f"{body_name(position)}.broken")
            return None
        return record

    def _has_body(self, record: SpoolRecord, header: Header) -> bool:
        """Whether the file of a record's body exists and is intact."""
        checksum = xxhash.xxh3_64()
        try:
            for piece in record.pieces():
                checksum.update(piece)
        except OSError:
            return False
        return checksum.intdigest() == header.body_checksum

    def _put_aside(self, position: SpoolPosition, data: bytes) -> None:
        """Keep damaged bytes in a file for a person to look at. The same bytes always give the same file."""
        self.broken += 1
        name = f"{body_name(position).removesuffix('.body')}.broken"
        log.error("the spool holds bytes that are no record", extra={"position": position.to_text(), "bytes": len(data)})
        try:
            kept = sum(size for other, size in self._files.sizes().items() if other.endswith(".broken") and other != name)
            if kept + len(data) <= MAX_PUT_ASIDE_BYTES:
                write_whole(self._files, name, data)
        except OSError:
            log.exception("broken bytes are not kept")
