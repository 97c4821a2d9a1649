"""The work of `pipeline store`: turns messages of Kafka into rows, by partition.

A message that cannot become a row becomes a dead letter. One record never makes the batch fail. The bounds of a batch are fixed
before its insert, so it must not be cut.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from pipeline.kafka.batch import Headers, KafkaBatch, place_of
from pipeline.model.category import DataCategory
from pipeline.model.dead_letter import DeadLetter
from pipeline.model.errors import describe_failure
from pipeline.model.record import Position, Record
from pipeline.store.columns import NoRowError
from pipeline.store.outcome_rows import read_outcome
from pipeline.store.overrides import apply_control
from pipeline.store.rows import Control, EventRow, read_storage_message
from pipeline.store.writer import RowWriter

log = logging.getLogger(__name__)

STAGE = "store"
"""The stage in headers and metrics of the store's dead letters."""
INTERNAL = "internal"

Row = TypeVar("Row")


@dataclass(slots=True)
class Stretch(Generic[Row]):
    """What the records of one partition became. `records` are those of `rows`, in the same order."""

    rows: list[Row] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    controls: list[Control] = field(default_factory=list)


@dataclass(slots=True)
class StoreResult(Generic[Row]):
    """The result of a batch. The sink adds the dead letters of rows that ClickHouse refuses."""

    stretches: dict[int, Stretch[Row]]
    dead: list[DeadLetter]
    headers: Mapping[Position, Headers]

    @property
    def outputs(self) -> StoreResult[Row]:
        """What the sink makes durable."""
        return self


class StoreMetricsSink(Protocol):
    """What the work counts."""

    def batch_stored(
        self, topic: str, *, records: int, rows: int, dead: list[tuple[str, str]], run_s: float, commit_s: float
    ) -> None:
        """Count a batch that is durable."""


class StoreWork(Generic[Row]):
    """Turns records into rows. `read` reads one, and `write` stores those of a stretch. `ping` raises AwayError."""

    def __init__(
        self,
        topic: str,
        read: Callable[[Record], Row | Control],
        write: Callable[[Stretch[Row], str], list[int]],
        ping: Callable[[], None],
        metrics: StoreMetricsSink,
    ) -> None:
        self._topic = topic
        self._read = read
        self.write = write
        self.check = ping
        self._metrics = metrics

    def run(self, batch: KafkaBatch) -> StoreResult[Row]:
        """Return the rows and dead letters of a batch. Raises AwayError if ClickHouse does not answer."""
        self.check()
        result: StoreResult[Row] = StoreResult({partition: Stretch() for partition in batch.ends}, [], batch.headers)
        for record in batch.records:
            stretch = result.stretches[place_of(record)[0]]
            try:
                read = self._read(record)
            except NoRowError as error:
                result.dead.append(DeadLetter(record, STAGE, error.reason, error.detail))
            except Exception as error:
                log.exception("a message could not be read", extra={"topic": self._topic, "position": record.position})
                result.dead.append(DeadLetter(record, STAGE, INTERNAL, describe_failure(error)))
            else:
                if isinstance(read, Control):
                    stretch.controls.append(read)
                else:
                    stretch.rows.append(read)
                    stretch.records.append(record)
        return result

    def give_up(self, batch: KafkaBatch, error: BaseException) -> StoreResult[Row]:
        """Return the dead letter of the only record of a batch."""
        letter = DeadLetter(batch.records[0], STAGE, INTERNAL, describe_failure(error))
        return StoreResult({partition: Stretch() for partition in batch.ends}, [letter], batch.headers)

    def committed(self, batch: KafkaBatch, result: StoreResult[Row], run_s: float, commit_s: float) -> None:
        """Count a batch that is durable."""
        self._metrics.batch_stored(
            self._topic,
            records=len(batch.records),
            rows=sum(len(stretch.rows) for stretch in result.stretches.values()),
            dead=[(letter.stage, letter.reason) for letter in result.dead],
            run_s=run_s,
            commit_s=commit_s,
        )
        numbers: dict[str, Any] = {"topic": self._topic, "dead_letters": len(result.dead)}
        log.debug("batch", extra=batch.describe() | numbers | {"run_ms": run_s * 1e3, "commit_ms": commit_s * 1e3})


def event_work(topic: str, writer: RowWriter, ping: Callable[[], None], metrics: StoreMetricsSink) -> StoreWork[EventRow]:
    """Return the work of the topic of storage messages."""

    def read(record: Record) -> EventRow | Control:
        message = read_storage_message(record)
        if isinstance(message, Control):
            apply_control(message, {})  # it must not fail when it is carried out
        return message

    def write(stretch: Stretch[EventRow], token: str) -> list[int]:
        refused = writer.write_events(stretch.rows, token)
        writer.write_controls(stretch.controls, token)
        return refused

    return StoreWork(topic, read, write, ping, metrics)


def outcome_work(topic: str, writer: RowWriter, ping: Callable[[], None], metrics: StoreMetricsSink) -> StoreWork[bytes]:
    """Return the work of a topic of outcomes."""
    return StoreWork(topic, read_outcome, lambda stretch, token: writer.write_outcomes(stretch.rows, token), ping, metrics)


def refused_row(record: Record, reason: str, detail: str) -> DeadLetter:
    """Return the dead letter of a record whose row ClickHouse cannot read."""
    return DeadLetter(record, STAGE, reason, detail, DataCategory.ERROR)
