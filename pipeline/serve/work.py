"""The work of `pipeline serve`: what the gateway accepted goes through all stages, and what comes out becomes rows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import orjson

from pipeline.gateway.shipping import ship
from pipeline.model.category import DataCategory
from pipeline.model.dead_letter import DeadLetter
from pipeline.model.errors import describe_failure
from pipeline.model.outcome import Outcome
from pipeline.model.record import KEPT_OF_OVERSIZED, Form, Record, Token
from pipeline.observability.prometheus_gateway import GatewayMetrics
from pipeline.quotas.ledger import Polled
from pipeline.runtimes.clock import MACHINE, Clock
from pipeline.serve.journal import ServePosition
from pipeline.serve.source import SOURCE, ServeBatch
from pipeline.stages import ERRORS
from pipeline.stages.contract import Context
from pipeline.stages.runner import run
from pipeline.store.columns import NoRowError
from pipeline.store.outcome_rows import read_outcome
from pipeline.store.rows import EventRow, read_storage_message

log = logging.getLogger(__name__)

STAGE = "store"


@dataclass(slots=True)
class ServeResult:
    """The result of a batch: rows, and what the metrics count. `start` is the number of its first event."""

    start: int
    events: list[EventRow]
    outcomes: list[Outcome]
    outcome_rows: list[bytes]
    dead: list[DeadLetter]
    received: float

    @property
    def outputs(self) -> ServeResult:
        """What the sink makes durable."""
        return self


class ServeWork:
    """Runs the stages.

    `position` returns the durable position, and `context` makes a context from the positions that a batch covers. Events are
    numbered in the order of the spool, without gaps. The ledger knows an event by the spool's id and its number.
    """

    def __init__(
        self,
        spool_id: str,
        position: Callable[[], ServePosition],
        context: Callable[[tuple[Polled, ...]], Context],
        metrics: GatewayMetrics,
        *,
        check: Callable[[], None],
        clock: Clock = MACHINE,
    ) -> None:
        self._spool_id = spool_id
        self._position = position
        self._context = context
        self._metrics = metrics
        self._clock = clock
        self.check = check
        self.shipped_at = 0.0
        """When the last record that is stored was received, in epoch seconds. 0 before the first one."""

    def run(self, batch: ServeBatch) -> ServeResult:
        """Return the result of a batch. Raises RetryableError if Redis is away, and what the stages raise."""
        start = self._position().number
        rules = self._context(()).rules
        shipped = [ship(entry, rules) for entry in batch.entries]
        records: list[Record] = []
        for part in shipped:
            for message in part.messages:
                records.append(self._record(message.value, Form.MSGPACK, start + len(records), part.received))
        end = start + len(records)
        batch.positions = batch.positions._replace(number=end)
        polled = (Polled(self._spool_id, 0, start, end),) if records else ()
        result = run(records, self._context(polled), ERRORS)
        events: list[EventRow] = []
        dead = [letter for part in shipped for letter in part.dead] + result.dead
        for item in result.events:
            assert item.message is not None, "publish is the last stage"  # noqa: S101
            stored = msgspec.structs.replace(item.record, body=item.message.value, form=Form.JSON, received=item.received)
            try:
                row = read_storage_message(stored)
            except NoRowError as error:
                dead.append(DeadLetter(item.record, STAGE, error.reason, error.detail))
            else:
                assert isinstance(row, EventRow), "publish writes events"  # noqa: S101
                events.append(row)
        outcomes = [outcome for part in shipped for outcome in part.outcomes] + result.outcomes
        return self._result(start, events, outcomes, dead, shipped[-1].received)

    def give_up(self, batch: ServeBatch, error: BaseException) -> ServeResult:
        """Return the dead letter of a record that cannot be processed. It holds the head and the beginning of the body."""
        [entry], [record] = batch.entries, batch.records
        log.error("a record that cannot be processed", extra=batch.describe(), exc_info=error)
        body = entry.head + (entry.body or b"")[:KEPT_OF_OVERSIZED]
        letter = DeadLetter(
            msgspec.structs.replace(record, body=body), "gateway", "internal", describe_failure(error), DataCategory.DEFAULT, 1
        )
        start = self._position().number
        batch.positions = batch.positions._replace(number=start)
        return self._result(start, [], [], [letter], 0.0)

    def committed(self, batch: ServeBatch, result: ServeResult, run_s: float, commit_s: float) -> None:
        """Count a batch that is stored now."""
        self.shipped_at = result.received or self.shipped_at
        self._metrics.shipped(
            records=len(batch.entries),
            events=len(result.events),
            outcomes=result.outcomes,
            dead=[(letter.stage, letter.reason) for letter in result.dead],
            run_s=run_s,
            commit_s=commit_s,
        )
        numbers: dict[str, Any] = {"events": len(result.events), "dead_letters": len(result.dead)}
        log.debug("batch", extra=batch.describe() | numbers | {"run_ms": run_s * 1e3, "commit_ms": commit_s * 1e3})

    def _result(
        self, start: int, events: list[EventRow], outcomes: list[Outcome], dead: list[DeadLetter], received: float
    ) -> ServeResult:
        rows = self._outcome_rows(outcomes, start)
        return ServeResult(start, events, outcomes, rows, dead, received)

    def _outcome_rows(self, outcomes: Sequence[Outcome], start: int) -> list[bytes]:
        now = self._clock.now()
        return [
            read_outcome(self._record(orjson.dumps(outcome.to_json()), Form.JSON, start + number, now))
            for number, outcome in enumerate(outcomes)
        ]

    def _record(self, body: bytes, form: Form, number: int, received: float) -> Record:
        return Record(body, form, SOURCE, (0, number), received, Token(self._spool_id, 0, number))
