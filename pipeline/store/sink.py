"""The sink of `pipeline store`: a batch's rows in ClickHouse and its offsets in Kafka, exactly once.

ClickHouse cannot take part in a transaction with Kafka, but it ignores an insert whose token it has seen. So a batch is written
in three steps:

1. The bounds of each partition's stretch are committed as metadata of its old offset. After this, the stretch never changes.
2. The rows of each stretch are inserted under a token that names the stretch: log, partition, first and last offset.
3. The new offsets are committed, and with them the dead letters.

After a crash, the next reader of the partition finds the bounds and repeats steps 2 and 3 with the same token
(`KafkaConsumer`, docs/adr/0011-rows-exactly-once.md).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Generic, Protocol, TypeVar

from pipeline.clickhouse.errors import AwayError, RefusedError
from pipeline.kafka.batch import Headers, KafkaPositions
from pipeline.kafka.start import encode_log_name
from pipeline.model.dead_letter import DeadLetter
from pipeline.model.errors import CommitError
from pipeline.model.record import Output, Outputs
from pipeline.store.columns import Reason
from pipeline.store.work import StoreResult, Stretch, refused_row

Row = TypeVar("Row")

WRITTEN_WITHIN_S = 60.0
"""How long after fixing its bounds a process may insert. Later, another process may have gone on, and ClickHouse may have
forgotten the token."""


class Offsets(Protocol):
    """Where offsets are committed outside a transaction: the consumer."""

    def commit(self, ends: Mapping[int, int], metadata: Mapping[int, str]) -> None:
        """Commit. Raises CommitError."""


class Transactions(Protocol):
    """Where records and offsets are committed together."""

    def commit(self, outputs: Outputs | None, positions: KafkaPositions) -> None:
        """Commit. Raises CommitError."""

    def close(self) -> None:
        """Release everything."""


class StoreSink(Generic[Row]):
    """Writes batches. `write` stores a stretch's rows under a token, and returns the indexes of those that cannot be read.

    `letter` makes the record of a dead letter, which goes to `letters_to`.
    """

    def __init__(
        self,
        offsets: Offsets,
        transactions: Transactions,
        write: Callable[[Stretch[Row], str], list[int]],
        letter: Callable[[DeadLetter, Headers], Output],
        letters_to: str,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._offsets = offsets
        self._transactions = transactions
        self._write = write
        self._letter = letter
        self._letters_to = letters_to
        self._monotonic = monotonic

    def commit(self, outputs: StoreResult[Row] | None, positions: KafkaPositions) -> None:
        """Make rows, dead letters and offsets durable. Raises CommitError."""
        if outputs is not None:
            since = self._monotonic()
            self._fix_bounds(positions)
            try:
                self._write_rows(outputs, positions, since)
            except AwayError as error:
                raise CommitError(str(error)) from None
            except RefusedError as error:  # for instance a missing table: an operator can mend it, and nothing is lost
                raise CommitError(f"clickhouse refuses the insert: {error.detail}") from None
        if outputs is not None and outputs.dead:
            records = [self._letter(letter, outputs.headers.get(letter.record.position, {})) for letter in outputs.dead]
            self._transactions.commit({self._letters_to: records}, positions)
        else:
            self._offsets.commit(positions.ends, positions.metadata)

    def close(self) -> None:
        """Release the client of transactions."""
        self._transactions.close()

    def _fix_bounds(self, positions: KafkaPositions) -> None:
        if positions.is_redo:
            return
        bounds = {partition: encode_log_name(positions.logs[partition], end) for partition, end in positions.ends.items()}
        self._offsets.commit({partition: positions.bases[partition] for partition in positions.ends}, bounds)

    def _write_rows(self, outputs: StoreResult[Row], positions: KafkaPositions, since: float) -> None:
        for partition, end in sorted(positions.ends.items()):
            if self._monotonic() - since > WRITTEN_WITHIN_S:
                raise CommitError("the batch took too long, and another store may have gone on")
            stretch = outputs.stretches[partition]
            token = f"{positions.logs[partition]}/{partition}/{positions.bases[partition]}-{end - 1}"
            for number in self._write(stretch, token):
                said = "ClickHouse cannot read the row that was made of this message"
                outputs.dead.append(refused_row(stretch.records[number], Reason.REFUSED_ROW, said))
