"""Replay: recorded events go through the same stages as in a worker, from files to files, without a broker.

The same input, rules and `now` give the same bytes, because batches are cut by count and bytes and never by time.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pipeline.model.dead_letter import DeadLetter
from pipeline.model.errors import RetryableError, describe_failure
from pipeline.model.event import as_json
from pipeline.model.processing_error import count_kinds
from pipeline.model.record import Record
from pipeline.quotas.ledger import Polled
from pipeline.runtimes.garbage import GarbageBetweenBatches
from pipeline.runtimes.replay_files import ReplayFiles
from pipeline.stages import ERRORS
from pipeline.stages.contract import Context, Order
from pipeline.stages.runner import AccountingError, BatchResult, run

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Tally:
    """Counts of a run so far. `outcomes` counts quantities by fate and reason, `dead_letters` by stage and reason.

    `errors` counts events with a processing error by its kind.
    """

    records: int = 0
    events: int = 0
    groups: int = 0
    outcomes: Counter[tuple[str, str | None]] = field(default_factory=Counter)
    dead_letters: Counter[tuple[str, str]] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    stage_s: Counter[str] = field(default_factory=Counter)
    started: float = field(default_factory=time.perf_counter)

    def add(self, records: int, result: BatchResult) -> None:
        """Count one batch."""
        self.records += records
        self.events += len(result.events)
        self.groups += sum(item.is_new_group for item in result.events)
        self.errors += count_kinds(as_json(item.event) for item in result.events)
        for outcome in result.outcomes:
            self.outcomes[outcome.fate.label, outcome.reason] += outcome.quantity
        for letter in result.dead:
            self.dead_letters[letter.stage, letter.reason] += 1
        for stage, seconds in result.stage_s.items():
            self.stage_s[stage] += seconds  # type: ignore[assignment]

    def rate(self) -> float:
        """Return the records per second so far."""
        return self.records / max(1e-9, time.perf_counter() - self.started)

    def to_json(self) -> dict[str, Any]:
        """Return the content of `summary.json`. Only `duration_s` and `stages` differ between equal runs."""
        outcomes: dict[str, dict[str, int]] = {}
        for (fate, reason), quantity in sorted(self.outcomes.items(), key=str):
            outcomes.setdefault(fate, {})[reason or ""] = quantity
        return {
            "records": self.records,
            "events": self.events,
            "groups": self.groups,
            "outcomes": outcomes,
            "dead_letters": sum(self.dead_letters.values()),
            "dead_letters_by_stage": {f"{stage}: {reason}": n for (stage, reason), n in sorted(self.dead_letters.items())},
            "events_with_errors": dict(sorted(self.errors.items())),
            "duration_s": round(time.perf_counter() - self.started, 3),
            "stages": {stage: round(seconds, 6) for stage, seconds in self.stage_s.items()},
        }


def replay(
    records: Iterable[Record],
    context: Callable[[tuple[Polled, ...]], Context],
    outputs: ReplayFiles,
    *,
    max_records: int,
    max_bytes: int,
    on_batch: Callable[[Tally], None],
    check_services: Callable[[], None] = lambda: None,
    order: Order = ERRORS,
) -> Tally:
    """Take every record through the stages and write the results. `context` returns a batch's context, given what it covers.

    `check_services` raises GiveUpError if a service that is away will not come back.
    """
    tally = Tally()
    with GarbageBetweenBatches() as garbage:
        for batch in cut_batches(records, max_records, max_bytes):
            result = _run_patiently(batch, context, check_services, order)
            for item in result.events:
                assert item.message is not None, "publish is the last stage"  # noqa: S101
                outputs.event(item.message.value)
            for outcome in result.outcomes:
                outputs.outcome(outcome)
            for letter in result.dead:
                outputs.dead_letter(letter)
            tally.add(len(batch), result)
            on_batch(tally)
            garbage.after_batch()
    outputs.finish(tally.to_json())
    return tally


def cut_batches(records: Iterable[Record], max_records: int, max_bytes: int) -> Iterator[list[Record]]:
    """Cut a stream into batches of at most so many records and bytes. A larger record is a batch of its own."""
    batch: list[Record] = []
    size = 0
    for record in records:
        if batch and (len(batch) >= max_records or size + len(record.body) > max_bytes):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += len(record.body)
    if batch:
        yield batch


def _run_patiently(
    batch: list[Record], context: Callable[[tuple[Polled, ...]], Context], check_services: Callable[[], None], order: Order
) -> BatchResult:
    """Run a batch, and wait if a service is away. A batch that fails is cut in halves until the record at fault is alone."""
    first, last = batch[0].token, batch[-1].token
    ctx = context((Polled(first.topic_id, first.partition, first.offset, last.offset + 1),))
    while True:
        try:
            return run(batch, ctx, order)
        except RetryableError as error:
            check_services()
            log.warning("waiting: %s", error)
            time.sleep(error.retry_in_s)
        except AccountingError:
            raise
        except Exception as error:
            if len(batch) == 1:
                log.exception("a record could not be processed")
                return BatchResult(dead=[DeadLetter(batch[0], "replay", "internal", describe_failure(error))])
            middle = len(batch) // 2
            left, right = (_run_patiently(half, context, check_services, order) for half in (batch[:middle], batch[middle:]))
            return left.joined(right)
