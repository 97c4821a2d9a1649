"""The sink of `pipeline serve`: a batch's rows in chdb, its dead letters in a file, and the spool's position, exactly once.

1. The result of the batch is written into the journal, synced.
2. Its rows are inserted under a token that names the batch, and its dead letters appended where the journal says.
3. The position is written, synced.

After a crash, steps 2 and 3 are repeated from the journal. What became durable in step 2 has no effect a second time.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import orjson

from pipeline.clickhouse.errors import AwayError, RefusedError
from pipeline.model.dead_letter import DeadLetter
from pipeline.model.errors import CommitError
from pipeline.serve.journal import Journal, ServePosition, Written
from pipeline.serve.work import STAGE, ServeResult
from pipeline.spool.segment import SpoolPosition
from pipeline.store.columns import Reason
from pipeline.store.writer import RowWriter

log = logging.getLogger(__name__)

BEGINNING = ServePosition(SpoolPosition(0, 0), 0)


class ServeSink:
    """Writes batches. `dead_letters` is a file of JSON lines, a dead letter each."""

    def __init__(self, spool_id: str, journal: Journal, writer: RowWriter, dead_letters: Path) -> None:
        self._spool_id = spool_id
        self._journal = journal
        self._writer = writer
        self._dead_letters = dead_letters
        self._unfinished = journal.unfinished()
        self.position = journal.position() or BEGINNING
        """The position behind the last finished batch."""

    def begin(self) -> ServePosition:
        """Finish the batch that was being inserted when something failed, and return the position behind it.

        Raises AwayError, RefusedError or OSError; the batch is still unfinished then.
        """
        if self._unfinished is not None:
            log.info("a batch is finished from the journal", extra={"token": self._unfinished.token})
            self._finish(self._unfinished)
        return self.position

    def commit(self, outputs: ServeResult | None, positions: ServePosition) -> None:
        """Make a batch durable. Raises CommitError."""
        if self._unfinished is not None:
            raise CommitError("the batch before has not been finished")
        try:
            if outputs is None:
                self._move_to(positions)
                return
            written = Written(
                spool_id=self._spool_id,
                start=outputs.start,
                end=positions.number,
                segment=positions.spool.segment,
                offset=positions.spool.offset,
                events=outputs.events,
                outcomes=outputs.outcome_rows,
                dead_letters=[orjson.dumps(letter.to_json()) + b"\n" for letter in outputs.dead],
                dead_letters_at=self._dead_letters_size(),
            )
            self._journal.write(written)
            self._unfinished = written
            self._finish(written)
        except (AwayError, RefusedError) as error:
            raise CommitError(str(error)) from None
        except OSError as error:
            raise CommitError(f"{error.filename or 'the data folder'}: {error.strerror or error}") from None

    def close(self) -> None:
        """Nothing to do: the next life finishes a batch that is unfinished."""

    def _finish(self, written: Written) -> None:
        refused = self._writer.write_events(written.events, written.token)
        self._writer.write_outcomes(written.outcomes, written.token)
        letters = written.dead_letters + [_refused_line(written.events[number].event) for number in refused]
        self._append_dead_letters(letters, written.dead_letters_at)
        self._move_to(written.position)
        self._unfinished = None

    def _move_to(self, position: ServePosition) -> None:
        self._journal.finish(position)
        self.position = position

    def _dead_letters_size(self) -> int:
        return self._dead_letters.stat().st_size if self._dead_letters.exists() else 0

    def _append_dead_letters(self, lines: Sequence[bytes], at: int) -> None:
        """Write lines where the file ended when the batch began. What an interrupted attempt has left there is cut."""
        if not lines:
            return
        with self._dead_letters.open("ab") as file:
            if file.tell() > at:
                file.truncate(at)
            file.write(b"".join(lines))
            file.flush()
            os.fsync(file.fileno())


def _refused_line(row: bytes) -> bytes:
    """Return the dead letter of a row that ClickHouse cannot read. Its bytes are the row's: the event's own are in there."""
    from pipeline.model.record import Form, Record, Token  # noqa: PLC0415 -- hardly ever needed

    record = Record(row, Form.JSON, "spool", 0, 0.0, Token("", 0, 0))
    letter = DeadLetter(record, STAGE, Reason.REFUSED_ROW, "ClickHouse cannot read the row that was made of this event")
    return orjson.dumps(letter.to_json()) + b"\n"
