"""The result of a batch, made durable before its first insert, so that a redo after a crash does not compute it again.

Rules, clock and source maps may have changed between a crash and the redo. Then the rows would differ, and ClickHouse drops
other rows under a token that it knows, without an error. So the rows of a batch are one file, synced, and a redo inserts what the
file holds.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from pathlib import Path
from typing import NamedTuple

import msgspec

from pipeline.spool.segment import SpoolPosition
from pipeline.store.rows import EventRow

BATCH, POSITION = "batch", "position"
_CHECKSUM_BYTES = 4


class ServePosition(NamedTuple):
    """How far the spool has been processed: the position in the spool, and the number of the next event."""

    spool: SpoolPosition
    number: int


class Written(msgspec.Struct, frozen=True):
    """The result of a batch. `start` and `end` are the numbers of its first event and of the one behind its last.

    `dead_letters` are lines. `dead_letters_at` is the size of their file before they were appended.
    """

    spool_id: str
    start: int
    end: int
    segment: int
    offset: int
    events: list[EventRow]
    outcomes: list[bytes]
    dead_letters: list[bytes]
    dead_letters_at: int

    @property
    def token(self) -> str:
        """Return the token of the batch's inserts. Batches of other events have other tokens."""
        return f"{self.spool_id}/{self.start}-{self.end}/{self.segment}:{self.offset}"

    @property
    def position(self) -> ServePosition:
        """Return where reading of the spool goes on after the batch."""
        return ServePosition(SpoolPosition(self.segment, self.offset), self.end)


_decoder = msgspec.msgpack.Decoder(Written)


class Journal:
    """A folder with the batch at hand and the position behind the last finished one. Not thread-safe. Methods raise OSError."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    def position(self) -> ServePosition | None:
        """Return the position behind the last finished batch, or None if there was none."""
        try:
            spool, _, number = (self._folder / POSITION).read_text().partition(" ")
        except FileNotFoundError:
            return None
        found = SpoolPosition.parse(spool)
        return ServePosition(found, int(number)) if found is not None and number.strip().isdecimal() else None

    def unfinished(self) -> Written | None:
        """Return the batch that was being inserted when the last process ended, or None.

        Nothing was inserted from a file that is not complete: the batch is read from the spool again.
        """
        try:
            data = (self._folder / BATCH).read_bytes()
        except FileNotFoundError:
            return None
        body = data[_CHECKSUM_BYTES:]
        if len(data) <= _CHECKSUM_BYTES or zlib.crc32(body).to_bytes(_CHECKSUM_BYTES, "big") != data[:_CHECKSUM_BYTES]:
            return None
        written = _decoder.decode(body)
        finished = self.position()
        return None if finished is not None and finished.number >= written.end and finished >= written.position else written

    def write(self, written: Written) -> None:
        """Make a batch durable."""
        body = msgspec.msgpack.encode(written)
        self._replace(BATCH, zlib.crc32(body).to_bytes(_CHECKSUM_BYTES, "big") + body)

    def finish(self, position: ServePosition) -> None:
        """Make a position durable, and forget the batch before it."""
        self._replace(POSITION, f"{position.spool.to_text()} {position.number}\n".encode())
        with contextlib.suppress(FileNotFoundError):
            (self._folder / BATCH).unlink()

    def _replace(self, name: str, data: bytes) -> None:
        """Write a whole file anew and sync it with its folder."""
        new = self._folder / f"{name}.new"
        with new.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._folder / name)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
