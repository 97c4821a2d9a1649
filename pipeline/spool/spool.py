"""The spool as its owner uses it: opening, appending, staging large bodies, reading, and deleting what was committed."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future

from pipeline.spool.errors import SpoolError
from pipeline.spool.files import SpoolFiles, write_whole
from pipeline.spool.reader import SpoolReader
from pipeline.spool.segment import SpoolPosition, end_of_records, segment_name, segment_number, segment_of_body
from pipeline.spool.writer import NewRecord, SegmentWriter, StagedBody, check_head

log = logging.getLogger(__name__)

ID, POSITION = "id", "position"
DRAINED_BYTES = 32_768
"""A segment that is read to its end and larger than this is replaced by an empty one."""
SAVE_POSITION_EVERY_S = 1.0


class Spool:
    """One spool and the thread that writes it.

    Opening it cuts off the torn tail of the last segment, and removes bodies without a record. Raises OSError if that fails.
    """

    def __init__(self, files: SpoolFiles, *, segment_bytes: int) -> None:
        self._files = files
        self.id = _read_id(files)
        self.known_position = _open(files)
        """The position that was committed, as far as this folder knows. The last commit may be further on."""
        numbers = [number for name in files.sizes() if (number := segment_number(name)) is not None]
        last = max([self.known_position.segment, *numbers])
        self._writer = SegmentWriter(files, last, segment_bytes=segment_bytes)
        self._rounds = _Rounds(self._writer)
        self._committed = self.known_position
        self._saved_at = 0.0
        self.opened_at = time.time()
        """In epoch seconds."""

    @property
    def end(self) -> SpoolPosition:
        """The position after the last durable record."""
        return self._writer.end

    @property
    def sync_s(self) -> float:
        """How long the last round took to become durable, in seconds."""
        return self._rounds.last_s

    @property
    def written(self) -> int:
        """How many records were made durable since the spool was opened."""
        return self._rounds.written

    @property
    def failure(self) -> str | None:
        """Why the last round did not become durable. None if it did."""
        return self._rounds.failure

    def append(self, head: bytes, body: bytes | StagedBody) -> Future[None]:
        """Append a record. The future is done when it is durable, or fails with SpoolError. May be called by any thread.

        All records of a round share one future. Do not cancel it. Raises ValueError for a head above 64 KiB.
        """
        check_head(head)
        return self._rounds.add(NewRecord(head, body))

    def stage(self) -> StagedBody:
        """Start a body that is too large for a segment. Raises SpoolError."""
        return StagedBody(self._files)

    def reader(self, start: SpoolPosition) -> SpoolReader:
        """Return a reader that starts at `start`, or at the position in the folder if that is further.

        A position behind the end belongs to another state of the folder, for instance before a backup was restored. It is not
        used, because events that are sent twice are recognized by their ids, but skipped events would be lost.
        """
        if start > self.end:
            log.error(
                "the committed position lies behind the spool's end",
                extra={"position": start.to_text(), "end": self.end.to_text()},
            )
            start = self.known_position
        return SpoolReader(self._files, lambda: self.end, max(start, self.known_position))

    def wait(self, position: SpoolPosition, seconds: float) -> bool:
        """Wait until there is something to read after a position. False if nothing came in time."""
        return self._rounds.wait(lambda: self.end > position, seconds)

    def committed(self, position: SpoolPosition) -> None:
        """Delete the records before `position`, because their results are durable elsewhere. Raises OSError.

        Only whole segments are deleted. One that was read to its end is replaced first, so that an empty spool takes at most 64
        KiB.
        """
        sizes = self._files.sizes()
        if position == self.end and sum(size for name, size in sizes.items() if _segment_of(name) is not None) > DRAINED_BYTES:
            position = self._rounds.start_segment(position)
            sizes = self._files.sizes()
        last = max((number for name in sizes if (number := segment_number(name)) is not None), default=0)
        first = min(position.segment, last)  # the last one stays, because its number must not be used again
        passed = [name for name in sizes if (number := _segment_of(name)) is not None and number < first]
        self._committed = position
        if passed or time.monotonic() - self._saved_at >= SAVE_POSITION_EVERY_S:
            self._save_position()
        for name in passed:
            self._files.remove(name)

    def stored_bytes(self) -> int:
        """Return the size of all files of the spool. Raises OSError."""
        return sum(self._files.sizes().values())

    def close(self) -> None:
        """Write all waiting records, and end the thread."""
        self._rounds.close()
        self._writer.close()
        self._save_position()

    def _save_position(self) -> None:
        """Save the committed position. Nothing is lost if this fails, because the reader's owner keeps it too."""
        self._saved_at = time.monotonic()
        if self._committed > self.known_position:
            try:
                write_whole(self._files, POSITION, self._committed.to_text().encode())
            except OSError as error:
                log.warning("the position is not saved: %s", error.strerror)
            else:
                self.known_position = self._committed


class _Rounds:
    """The thread that writes. Records that are added during a round are written in the next one."""

    def __init__(self, writer: SegmentWriter) -> None:
        self._writer = writer
        self._changed = threading.Condition()
        self._waiting: list[NewRecord] = []
        self._waiters: Future[None] = Future()
        self._drained_at: SpoolPosition | None = None
        self._replaced_by = SpoolPosition(0, 0)
        self._is_closing = False
        self.last_s = 0.0
        self.written = 0
        self.failure: str | None = None
        self._thread = threading.Thread(target=self._run, name="spool-writer", daemon=True)
        self._thread.start()

    def add(self, record: NewRecord) -> Future[None]:
        with self._changed:
            if self._is_closing:
                raise RuntimeError("the spool is closed")
            self._waiting.append(record)
            if len(self._waiting) == 1:
                self._changed.notify_all()
            return self._waiters

    def start_segment(self, drained_at: SpoolPosition) -> SpoolPosition:
        """Start a new segment if nothing was written after `drained_at`.

        Return the new segment's start, or `drained_at` if no segment was started. No record lies between the two.
        """
        with self._changed:
            if self._is_closing:
                return drained_at
            self._drained_at, self._replaced_by = drained_at, drained_at
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._drained_at is None)
            return self._replaced_by

    def wait(self, is_met: Callable[[], bool], seconds: float) -> bool:
        with self._changed:
            return self._changed.wait_for(is_met, seconds)

    def close(self) -> None:
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._drained_at or self._is_closing)
                records, waiters, drained_at = self._waiting, self._waiters, self._drained_at
                self._waiting, self._waiters = [], Future()
            if records:
                self._write(records, waiters)
            elif drained_at is not None and drained_at == self._writer.end:
                with contextlib.suppress(OSError):  # this is tried again after the next commit
                    self._writer.start_segment()
                    self._replaced_by = self._writer.end
            with self._changed:
                if drained_at is not None:
                    self._drained_at = None
                self._changed.notify_all()
                if self._is_closing and not self._waiting:
                    return

    def _write(self, records: list[NewRecord], waiters: Future[None]) -> None:
        started = time.perf_counter()
        try:
            self._writer.write(records)
        except SpoolError as error:
            self.failure = str(error)
            log.error("records are refused: %s", error, extra={"records": len(records)})  # noqa: TRY400 -- the text says it all
            waiters.set_exception(error)
        except Exception as error:  # after any error the waiting callers must get an answer
            self.failure = str(error)
            log.exception("records are refused")
            waiters.set_exception(error)
        else:
            self.last_s = time.perf_counter() - started
            self.written += len(records)
            self.failure = None
            waiters.set_result(None)


def _read_id(files: SpoolFiles) -> str:
    """Return the spool's id. A new spool gets one."""
    if ID in files.sizes():
        return files.read(ID, 0, 100).decode("ascii", "replace")
    name = str(uuid.uuid4())
    write_whole(files, ID, name.encode())
    return name


def _open(files: SpoolFiles) -> SpoolPosition:
    """Remove what the last process left incomplete, and return the position that the folder knows."""
    sizes = files.sizes()
    segments = sorted(number for name in sizes if (number := segment_number(name)) is not None)
    if segments:
        _cut_torn_tail(files, segment_name(segments[-1]), sizes[segment_name(segments[-1])])
    for name in sizes:
        if name.endswith((".staged", ".new")) or ((number := segment_of_body(name)) is not None and number not in segments):
            files.remove(name)
    files.sync_folder()
    text = files.read(POSITION, 0, 100).decode("ascii", "replace") if POSITION in sizes else ""
    return SpoolPosition.parse(text) or SpoolPosition(segments[0] if segments else 0, 0)


def _cut_torn_tail(files: SpoolFiles, name: str, size: int) -> None:
    """Cut off what follows the last intact record of the last segment: a record whose writing was interrupted."""
    end = end_of_records(files.read(name, 0, size))
    if end < size:
        log.warning("cut a torn record from the spool's end", extra={"segment": name, "bytes": size - end})
        files.truncate(name, end)


def _segment_of(name: str) -> int | None:
    number = segment_number(name)
    return segment_of_body(name) if number is None else number
