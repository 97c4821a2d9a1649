"""The writing side: writes rounds of records into the current segment. A round is durable when `write` returns."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Sequence
from typing import NamedTuple

import xxhash

from pipeline.spool.errors import SpoolError
from pipeline.spool.files import SpoolFiles
from pipeline.spool.segment import (
    MAX_HEAD_BYTES,
    SpoolPosition,
    body_name,
    encode_record,
    encode_record_of_file,
    segment_name,
)


class StagedBody:
    """A large body that arrives in pieces and goes into a file of its own. Raises SpoolError if the disk fails.

    Once its record is written, it belongs to that. Until then `discard` removes it. If the process dies, the next one removes it.
    """

    def __init__(self, files: SpoolFiles) -> None:
        self.name = f"{uuid.uuid4()}.staged"
        self.size = 0
        self._files = files
        self._hash = xxhash.xxh3_64()
        try:
            self._handle: int | None = files.create(self.name)
        except OSError as error:
            raise SpoolError(error) from None

    @property
    def checksum(self) -> int:
        """The checksum of the bytes so far."""
        return self._hash.intdigest()

    def write(self, data: bytes) -> None:
        """Append a piece."""
        assert self._handle is not None, "the body is complete"  # noqa: S101
        try:
            self._files.append(self._handle, [data])
        except OSError as error:
            raise SpoolError(error) from None
        self._hash.update(data)
        self.size += len(data)

    def finish(self) -> None:
        """Make the content durable. The file's name becomes durable with its record."""
        assert self._handle is not None, "the body is complete"  # noqa: S101
        try:
            self._files.sync(self._handle)
        except OSError as error:
            raise SpoolError(error) from None
        self._close()

    def read(self, offset: int, size: int) -> bytes:
        """Return a piece of the bytes so far. Raises OSError."""
        return self._files.read(self.name, offset, size)

    def discard(self) -> None:
        """Remove the file, unless it belongs to a record."""
        self._close()
        with contextlib.suppress(OSError):
            self._files.remove(self.name)

    def _close(self) -> None:
        if self._handle is not None:
            self._files.close(self._handle)
            self._handle = None


class NewRecord(NamedTuple):
    """A record to write: a head of up to 64 KiB, and a body, which is staged if it has more than 1 MiB."""

    head: bytes
    body: bytes | StagedBody


class SegmentWriter:
    """Writes rounds of records. Used by one thread at a time; `end` may be read by others."""

    def __init__(self, files: SpoolFiles, last_segment: int, *, segment_bytes: int) -> None:
        """Start after `last_segment`, the greatest number in the name of any file of the spool."""
        self._files = files
        self._number = last_segment
        self._segment_bytes = segment_bytes
        self._handle: int | None = None
        self._size = 0
        self.held_bytes = 0
        """Size of the current segment, including the bodies that belong to it."""
        self.end = SpoolPosition(last_segment + 1, 0)
        """All records before it are durable. A reader may go up to it."""

    def write(self, records: Sequence[NewRecord]) -> None:
        """Write one round.

        When this returns, all its records are durable. After a SpoolError, none of them must be acknowledged.
        """
        try:
            if self._handle is None or self.held_bytes >= self._segment_bytes:
                self.start_segment()
            size, held_bytes = self._append(records)
        except OSError as error:
            self._abandon()
            raise SpoolError(error) from None
        self._size, self.held_bytes = size, held_bytes
        self.end = SpoolPosition(self._number, size)

    def start_segment(self) -> None:
        """End the current segment, and create the next one. Raises OSError."""
        self.close()
        self._number += 1
        self._size = self.held_bytes = 0
        self._handle = self._files.create(segment_name(self._number))
        self._files.sync_folder()
        self.end = SpoolPosition(self._number, 0)

    def close(self) -> None:
        """End the current segment."""
        if self._handle is not None:
            self._files.close(self._handle)
            self._handle = None

    def _append(self, records: Sequence[NewRecord]) -> tuple[int, int]:
        """Append and sync. Return the size of the segment, and its size including bodies in files."""
        assert self._handle is not None, "a segment was started"  # noqa: S101
        parts: list[bytes] = []
        size, held_bytes, has_bodies = self._size, self.held_bytes, False
        for head, body in records:
            if isinstance(body, bytes):
                own = encode_record(head, body)
            else:
                own = encode_record_of_file(head, body.size, body.checksum)
                self._files.rename(body.name, body_name(SpoolPosition(self._number, size)))
                has_bodies = True
                held_bytes += body.size
            parts += own
            own_bytes = sum(map(len, own))
            size += own_bytes
            held_bytes += own_bytes
        if has_bodies:  # before the records that name them
            self._files.sync_folder()
        self._files.append(self._handle, parts)
        self._files.sync(self._handle)
        return size, held_bytes

    def _abandon(self) -> None:
        """Cut the current segment back to its last complete round. The next round starts a new segment."""
        if self._handle is None:
            return
        with contextlib.suppress(OSError):
            self.close()
        self._handle = None
        # If this fails, unacknowledged records or damaged bytes stay, and may be read later.
        with contextlib.suppress(OSError):
            self._files.truncate(segment_name(self._number), self._size)


def check_head(head: bytes) -> None:
    """Raise ValueError if a head is too large. Such a head would make its whole round fail."""
    if len(head) > MAX_HEAD_BYTES:
        raise ValueError(f"a record's head has {MAX_HEAD_BYTES} bytes at most, not {len(head)}")
