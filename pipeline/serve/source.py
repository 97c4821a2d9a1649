"""The spool as a source of batches, with a position that is kept in a folder beside it. See `pipeline/runtimes/protocols.py`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeline.clickhouse.errors import AwayError, RefusedError
from pipeline.model.record import Form, Record, Token
from pipeline.serve.journal import ServePosition
from pipeline.settings.schema import BatchSettings
from pipeline.spool.reader import SpoolReader, SpoolRecord
from pipeline.spool.segment import SpoolPosition
from pipeline.spool.spool import Spool

log = logging.getLogger(__name__)

SOURCE = "spool"
IDLE_WAIT_S = 0.1
BATCH_EVERY_S = 0.4
"""The least time between two batches. Each costs six synced inserts, even a small one. An event is visible this much later."""
RETRY_S = 1.0


@dataclass(slots=True)
class ServeBatch:
    """Records of the spool that are worked on together. The work sets `positions.number` when it has counted the events."""

    entries: Sequence[SpoolRecord]
    records: Sequence[Record]
    positions: ServePosition

    def halves(self) -> tuple[ServeBatch, ServeBatch]:
        """Cut in two. The first half ends where its last record ends."""
        middle = len(self.entries) // 2
        between = ServePosition(self.entries[middle - 1].end, self.positions.number)
        first = replace(self, entries=self.entries[:middle], records=self.records[:middle], positions=between)
        return first, replace(self, entries=self.entries[middle:], records=self.records[middle:])

    def describe(self) -> dict[str, Any]:
        """Return the fields by which a log line names the batch."""
        return {"records": len(self.entries), "end": self.positions.spool.to_text()}


class ServeSource:
    """Reads the spool from the durable position on, which `begin` returns.

    `begin` first finishes the batch that was being inserted when something failed. It raises AwayError, RefusedError or OSError
    if that is not possible yet; then nothing is read.
    """

    def __init__(self, spool: Spool, begin: Callable[[], ServePosition], bounds: BatchSettings) -> None:
        self._spool = spool
        self._begin = begin
        self._bounds = bounds
        self._reader: SpoolReader | None = None
        self._broken = self._number = 0
        self._failure = ""
        self._next_at = 0.0
        self._skipped: SpoolPosition | None = None

    @property
    def broken(self) -> int:
        """How many records, or runs of bytes between records, could not be read."""
        return self._broken + (self._reader.broken if self._reader else 0)

    @property
    def position(self) -> SpoolPosition | None:
        """How far the spool has been read, or None before the first batch."""
        return self._reader.position if self._reader else None

    def poll(self) -> ServeBatch | None:
        """Return the next batch, or None if nothing comes within a tenth of a second."""
        time.sleep(max(0.0, self._next_at - time.monotonic()))
        try:
            start = self._begin()
            self._number = start.number
            if self._reader is None:
                self._reader = self._spool.reader(start.spool)
            batch = self._reader.read(self._bounds.max_records, self._bounds.max_bytes)
        except (AwayError, RefusedError, OSError) as error:
            self._fail(error)
            return None
        self._failure = ""
        if batch is None:
            self._spool.wait(self._reader.position, IDLE_WAIT_S)
            return None
        if not batch.records:
            self._skipped = batch.end
            return None
        self._skipped = None
        self._next_at = time.monotonic() + BATCH_EVERY_S
        records = tuple(_as_record(entry, self._spool.id) for entry in batch.records)
        return ServeBatch(batch.records, records, ServePosition(batch.end, start.number))

    def wait(self, seconds: float) -> bool:
        """Do nothing for a while. A spool's records are never taken away."""
        time.sleep(seconds)
        return True

    def resume(self) -> None:
        """Nothing to do: nothing comes between two polls."""

    def committed(self, positions: ServePosition) -> None:
        """Delete from the spool what is stored now. If the disk fails, a later commit deletes it."""
        try:
            self._spool.committed(positions.spool)
        except OSError as error:
            log.warning("what was stored stays in the spool: %s", error)

    def rewind(self) -> None:
        """Begin again at the durable position."""
        self._broken = self.broken
        self._reader = self._skipped = None

    def skipped(self) -> ServePosition | None:
        """Return the position after bytes that are no record, if such bytes were the last that was read. See `Source.skipped`."""
        if self._skipped is None:
            return None
        position, self._skipped = self._skipped, None
        return ServePosition(position, self._number)

    def unready(self) -> str:
        """Return why nothing can be read, or ""."""
        return self._failure

    def close(self) -> None:
        """Nothing to do: the owner of the spool closes it."""

    def _fail(self, error: Exception) -> None:
        """Begin again after a pause: the disk or the database may be back by then."""
        if str(error) != self._failure:
            log.error("nothing can be read at the moment: %s", error)
        self.rewind()
        self._failure = str(error)
        time.sleep(RETRY_S)


def _as_record(entry: SpoolRecord, spool_id: str) -> Record:
    """Name a spool's record as the loop does. Its body stays where it is: the work reads the entry."""
    place = entry.position
    return Record(b"", Form.MSGPACK, SOURCE, (place.segment, place.offset), 0.0, Token(spool_id, place.segment, place.offset))
