"""From the spool to Kafka, exactly once: source and work of the one loop (`pipeline/runtimes/loop.py`).

The sink is a Kafka transaction. The spool's position travels in that transaction and is read back before shipping begins.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import orjson

from pipeline.gateway.shipping import Shipped, ship
from pipeline.kafka.batch import KafkaPositions, place_of
from pipeline.kafka.kept_position import PARTITION, KeptPosition
from pipeline.model.category import DataCategory
from pipeline.model.dead_letter import DeadLetter
from pipeline.model.errors import CommitError, RetryableError, describe_failure
from pipeline.model.outcome import Fate, Outcome
from pipeline.model.record import KEPT_OF_OVERSIZED, Form, Output, Record, Token
from pipeline.observability.prometheus_gateway import GatewayMetrics
from pipeline.rules.snapshot import Rules
from pipeline.settings.schema import BatchSettings, KafkaSettings
from pipeline.spool.reader import SpoolReader, SpoolRecord
from pipeline.spool.segment import SpoolPosition
from pipeline.spool.spool import Spool

log = logging.getLogger(__name__)

SOURCE = "spool"
IDLE_WAIT_S = 0.1
RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class ShipBatch:
    """Records of the spool that are shipped together: the loop's batch."""

    entries: tuple[SpoolRecord, ...]
    records: Sequence[Record]
    end: SpoolPosition
    kept: KeptPosition

    @property
    def positions(self) -> KafkaPositions:
        """The positions that the transaction commits."""
        return self.kept.positions(self.end.to_text())

    def halves(self) -> tuple[ShipBatch, ShipBatch]:
        """Cut in two. The first half's position is the end of its last record."""
        middle = len(self.entries) // 2
        first = replace(self, entries=self.entries[:middle], records=self.records[:middle], end=self.entries[middle - 1].end)
        return first, replace(self, entries=self.entries[middle:], records=self.records[middle:])

    def describe(self) -> dict[str, Any]:
        """Return the fields by which a log line names the batch."""
        return {"records": len(self.entries), "end": self.end.to_text()}


class SpoolSource:
    """The spool as the loop's source.

    The broker keeps its position. While the broker is away nothing is read, and the spool fills. `register` ends the transaction
    that an earlier process of this gateway left open. Only then is the broker's position valid.
    """

    def __init__(self, spool: Spool, kept: KeptPosition, register: Callable[[], None], bounds: BatchSettings) -> None:
        self._spool = spool
        self._kept = kept
        self._register = register
        self._bounds = bounds
        self._reader: SpoolReader | None = None
        self._away = "starting"
        self._broken = 0
        self._skipped: SpoolPosition | None = None

    @property
    def broken(self) -> int:
        """How many records, or damaged stretches between records, could not be read."""
        return self._broken + (self._reader.broken if self._reader else 0)

    @property
    def position(self) -> SpoolPosition | None:
        """The position up to which the spool was read. None until the broker has told where to begin."""
        return self._reader.position if self._reader else None

    def poll(self) -> ShipBatch | None:
        """Return the next batch, or None if nothing comes within a tenth of a second or the broker is away."""
        reader = self._reader or self._open()
        if reader is None:
            return None
        try:
            batch = reader.read(self._bounds.max_records, self._bounds.max_bytes)
        except OSError as error:
            self._fail(error)
            return None
        if batch is None:
            self._spool.wait(reader.position, IDLE_WAIT_S)
            return None
        if not batch.records:
            self._skipped = batch.end
            return None
        self._skipped = None
        records = tuple(_as_record(entry, self._spool.id) for entry in batch.records)
        return ShipBatch(batch.records, records, batch.end, self._kept)

    def wait(self, seconds: float) -> bool:
        """Do nothing for a while. Nobody else takes the records of a spool, so the batch at hand stays."""
        time.sleep(seconds)
        return True

    def resume(self) -> None:
        """Do nothing, because a spool delivers only when it is polled."""

    def committed(self, positions: KafkaPositions) -> None:
        """Delete from the spool what is in Kafka now. If the disk fails, it stays until a later commit."""
        position = SpoolPosition.parse(positions.metadata[PARTITION])
        assert position is not None, "written by this file"  # noqa: S101
        try:
            self._spool.committed(position)
        except OSError as error:
            log.warning("what was shipped stays in the spool: %s", error)

    def rewind(self) -> None:
        """Read again from the position that the broker keeps."""
        self._broken = self.broken
        self._reader = self._skipped = None

    def skipped(self) -> KafkaPositions | None:
        """Return the position after damaged bytes, if such bytes were the last that was read. See `Source.skipped`."""
        if self._skipped is None:
            return None
        position, self._skipped = self._skipped, None
        return self._kept.positions(position.to_text())

    def unready(self) -> str:
        """Return why nothing can be read yet, or "" once the broker has told where to begin."""
        return "" if self._reader is not None else self._away

    def close(self) -> None:
        """Close the client that reads the position. The spool is closed by its owner."""
        self._kept.close()

    def _fail(self, error: OSError) -> None:
        """Read again from the broker's position after a pause, since the disk may work again by then."""
        log.error("the spool cannot be read: %s", error)
        self.rewind()
        self._away = f"spool: {error.strerror or error}"
        time.sleep(RETRY_S)

    def _open(self) -> SpoolReader | None:
        try:
            self._register()
            text = self._kept.read()
        except (CommitError, RetryableError) as error:
            self._away = str(error)
            time.sleep(RETRY_S)
            return None
        start = SpoolPosition.parse(text) or SpoolPosition(0, 0)
        self._reader = self._spool.reader(start)
        return self._reader


def _as_record(entry: SpoolRecord, spool_id: str) -> Record:
    """Return a record for the loop and its dead letters. Its body is not read from the spool."""
    position = (entry.position.segment, entry.position.offset)
    return Record(entry.head, Form.ENVELOPE, SOURCE, position, 0.0, Token(spool_id, *position))


@dataclass(frozen=True, slots=True)
class ShipResult:
    """The result of a batch: records for Kafka, and what the metrics count."""

    outputs: dict[str, list[Output]]
    dead: Sequence[DeadLetter]
    outcomes: Sequence[Outcome]
    received: float
    """When the last record of the batch was received, in epoch seconds."""


class ShippingWork:
    """The loop's work. It needs no service besides the broker, to which the sink writes."""

    def __init__(self, kafka: KafkaSettings, rules: Callable[[], Rules], metrics: GatewayMetrics) -> None:
        self._kafka = kafka
        self._rules = rules
        self._metrics = metrics
        self.shipped_at = 0.0
        """When the last record that is in Kafka was received, in epoch seconds. 0 before the first one."""

    def run(self, batch: ShipBatch) -> ShipResult:
        """Return the messages, outcomes and dead letters that the batch becomes."""
        rules = self._rules()
        return self._result([ship(entry, rules) for entry in batch.entries])

    def give_up(self, batch: ShipBatch, error: BaseException) -> ShipResult:
        """Return the dead letter of a record that cannot be processed. It holds the head and the beginning of the body."""
        [entry], [record] = batch.entries, batch.records
        body = entry.head + (entry.body or b"")[:KEPT_OF_OVERSIZED]
        detail = describe_failure(error)
        letter = DeadLetter(msgspec.structs.replace(record, body=body), "gateway", "internal", detail, DataCategory.DEFAULT, 1)
        return self._result([Shipped([], [], [letter])])

    def committed(self, batch: ShipBatch, result: ShipResult, run_s: float, commit_s: float) -> None:
        """Count a batch that is in Kafka now."""
        self.shipped_at = result.received or self.shipped_at
        self._metrics.shipped(
            records=len(batch.entries),
            events=len(result.outputs.get(self._kafka.events_in, ())),
            outcomes=result.outcomes,
            dead=[(letter.stage, letter.reason) for letter in result.dead],
            run_s=run_s,
            commit_s=commit_s,
        )

    def check(self) -> None:
        """Do nothing, because no service is needed."""

    def _result(self, parts: Sequence[Shipped]) -> ShipResult:
        outputs: defaultdict[str, list[Output]] = defaultdict(list)
        outcomes = [outcome for part in parts for outcome in part.outcomes]
        dead = [letter for part in parts for letter in part.dead]
        for part in parts:
            for message in part.messages:
                outputs[self._kafka.events_in].append(Output(bytes.fromhex(message.event_id), message.value, []))
        for outcome in outcomes:
            outputs[self._outcomes_topic(outcome)].append(Output(None, orjson.dumps(outcome.to_json()), []))
        for letter in dead:
            address = dict(zip(("source-partition", "source-offset"), map(str, place_of(letter.record)), strict=True))
            reasons = {"stage": letter.stage, "reason": letter.reason, "detail": letter.detail[:500], "source-topic": SOURCE}
            headers = [(name, value.encode("utf-8", "replace")) for name, value in (reasons | address).items()]
            outputs[self._kafka.dead_letters].append(Output(None, letter.record.body, headers))
        return ShipResult(outputs, dead, outcomes, parts[-1].received)

    def _outcomes_topic(self, outcome: Outcome) -> str:
        is_billed = outcome.fate in {Fate.ACCEPTED, Fate.RATE_LIMITED}
        return self._kafka.outcomes_billing if is_billed and self._kafka.outcomes_billing else self._kafka.outcomes
