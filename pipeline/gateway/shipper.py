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
    """Records of the spool that are shipped together, as the loop takes them."""

    entries: tuple[SpoolRecord, ...]
    records: Sequence[Record]
    end: SpoolPosition
    kept: KeptPosition

    @property
    def positions(self) -> KafkaPositions:
        """What the transaction commits."""
        return self.kept.positions(self.end.to_text())

    def halves(self) -> tuple[ShipBatch, ShipBatch]:
        """Cut in two. The first half ends where its last record does."""
        middle = len(self.entries) // 2
        first = replace(self, entries=self.entries[:middle], records=self.records[:middle], end=self.entries[middle - 1].end)
        return first, replace(self, entries=self.entries[middle:], records=self.records[middle:])

    def describe(self) -> dict[str, Any]:
        """Return the fields by which a log line names the batch."""
        return {"records": len(self.entries), "end": self.end.to_text()}


class SpoolSource:
    """The spool as the loop's source. Its position is the broker's; without a broker nothing is read, and the spool fills.

    `register` ends what a former life of this gateway left open in Kafka; only then does the broker's position hold.
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
        """Records, or runs of bytes that are none, that could not be read."""
        return self._broken + (self._reader.broken if self._reader else 0)

    @property
    def position(self) -> SpoolPosition | None:
        """Up to where was read; None before the broker said where to begin."""
        return self._reader.position if self._reader else None

    def poll(self) -> ShipBatch | None:
        """Return the next batch, or None where nothing comes within a tenth of a second, or the broker is away."""
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
        """Do nothing for a while. A spool's records are never taken away."""
        time.sleep(seconds)
        return True

    def resume(self) -> None:
        """Nothing to do: nothing comes between two polls."""

    def committed(self, positions: KafkaPositions) -> None:
        """Let go of what is in Kafka now. Where the disk fails it stays, and goes with what is committed later."""
        position = SpoolPosition.parse(positions.metadata[PARTITION])
        assert position is not None, "written by this file"  # noqa: S101
        try:
            self._spool.committed(position)
        except OSError as error:
            log.warning("what was shipped stays in the spool: %s", error)

    def rewind(self) -> None:
        """Begin again where the broker says."""
        self._broken = self.broken
        self._reader = self._skipped = None

    def skipped(self) -> KafkaPositions | None:
        """Return the position after bytes that are no record, if such bytes were the last that was read. See `Source.skipped`."""
        if self._skipped is None:
            return None
        position, self._skipped = self._skipped, None
        return self._kept.positions(position.to_text())

    def unready(self) -> str:
        """Return why nothing can be read yet, or "" once the broker has told where to begin."""
        return "" if self._reader is not None else self._away

    def close(self) -> None:
        """Release the client that asks for the position. The spool is its owner's."""
        self._kept.close()

    def _fail(self, error: OSError) -> None:
        """Begin again where the broker says, after a pause: the disk may be read by then."""
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
    """Name a record as the loop and its dead letters do. The body stays where it is until somebody wants it."""
    position = (entry.position.segment, entry.position.offset)
    return Record(entry.head, Form.ENVELOPE, SOURCE, position, 0.0, Token(spool_id, *position))


@dataclass(frozen=True, slots=True)
class ShipResult:
    """What a batch becomes: records for Kafka, and the same counted."""

    outputs: dict[str, list[Output]]
    dead: Sequence[DeadLetter]
    outcomes: Sequence[Outcome]
    received: float
    """When the last record of the batch was received, in epoch seconds."""


class ShippingWork:
    """The loop's work. It needs no service but the one that the sink writes to."""

    def __init__(self, kafka: KafkaSettings, rules: Callable[[], Rules], metrics: GatewayMetrics) -> None:
        self._kafka = kafka
        self._rules = rules
        self._metrics = metrics
        self.shipped_at = 0.0
        """When the last record that is in Kafka was received, in epoch seconds; 0 before the first one."""

    def run(self, batch: ShipBatch) -> ShipResult:
        """Return what the batch becomes."""
        rules = self._rules()
        return self._result([ship(entry, rules) for entry in batch.entries])

    def give_up(self, batch: ShipBatch, error: BaseException) -> ShipResult:
        """Return the dead letter of a record that nothing can be made of: its head and the beginning of its body."""
        [entry], [record] = batch.entries, batch.records
        body = entry.head + (entry.body or b"")[:KEPT_OF_OVERSIZED]
        detail = describe_failure(error)
        letter = DeadLetter(msgspec.structs.replace(record, body=body), "gateway", "internal", detail, DataCategory.DEFAULT, 1)
        return self._result([Shipped([], [], [letter])])

    def committed(self, batch: ShipBatch, result: ShipResult, run_s: float, commit_s: float) -> None:
        """Count what is in Kafka now."""
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
        """Nothing to ask."""

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
