"""A worker's work: run the stages over a batch, and encode the results for Kafka."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from pipeline.kafka.batch import KafkaBatch, project_of
from pipeline.kafka.lag import LagWatch
from pipeline.model.dead_letter import DeadLetter
from pipeline.model.errors import RetryableError, StaleBatchError, describe_failure
from pipeline.model.event import as_json
from pipeline.model.processing_error import count_kinds
from pipeline.model.record import Outputs
from pipeline.observability.prometheus_metrics import WorkerMetrics
from pipeline.quotas.ledger import Polled
from pipeline.runtimes.clock import MACHINE, Clock
from pipeline.runtimes.loop import Loop
from pipeline.runtimes.worker.encoding import encode
from pipeline.runtimes.worker.in_hand import FIRST_STAGE, InHand
from pipeline.runtimes.worker.suspects import Supervised, SuspectBatchError, Suspects
from pipeline.settings.schema import Settings
from pipeline.stages import ERRORS
from pipeline.stages.contract import Context, Items, Order, Stage, StageResult
from pipeline.stages.runner import BatchResult, run

log = logging.getLogger(__name__)

_COUNTING = next(index for index, stage in enumerate(ERRORS.stages) if stage.counts)
_AFTER_CHARGES = ERRORS.stages[_COUNTING + 1].name
"""The first stage that a record reaches after it was charged to quotas."""
ENCODE = "worker"
"""What a note and a dead letter have in place of a stage while results are being encoded."""

MakeContext = Callable[[tuple[Polled, ...]], Context]


@dataclass(frozen=True, slots=True)
class Processed:
    """The result of the stages for a batch, and the same encoded as records for Kafka."""

    result: BatchResult
    outputs: Outputs

    @property
    def dead(self) -> list[DeadLetter]:
        """The batch's dead letters."""
        return self.result.dead


class StageWork:
    """Runs all stages. `context` returns a batch's context, given what it covers. `check` raises RetryableError if Redis is away.

    A worker that is `supervised` notes what it works on, and knows what former workers died with.

    Its own cost should stay below 40 us of CPU an event.
    """

    def __init__(
        self,
        settings: Settings,
        context: MakeContext,
        metrics: WorkerMetrics,
        *,
        check: Callable[[], None] = lambda: None,
        clock: Clock = MACHINE,
        supervised: Supervised | None = None,
    ) -> None:
        self._settings = settings
        self._context = context
        self._metrics = metrics
        self._clock = clock
        self._in_hand = supervised.in_hand if supervised else None
        self._suspects = supervised.suspects if supervised else Suspects()
        self._order = ERRORS if self._in_hand is None else noting(ERRORS, self._in_hand)
        self.check = check

    def run(self, batch: KafkaBatch) -> Processed:
        """Run the stages and encode their results. Raises what the stages raise.

        Records that a worker died with are worked on one at a time, so a batch with more raises SuspectBatchError.
        """
        if self._suspects.includes(batch):
            if len(batch.records) > 1:
                raise SuspectBatchError
            if verdict := self._suspects.verdict(batch):
                log.error("a record that ends its worker is given up", extra=batch.describe() | verdict._asdict())
                order = order_that_ends_at(ERRORS, verdict.stage, verdict.reason, verdict.detail)
                return self._encoded(batch, run(batch.records, self._context(covered_by(batch)), order))
        if self._in_hand is None:
            return self._encoded(batch, run(batch.records, self._context(covered_by(batch)), ERRORS))
        self._in_hand.take(batch)
        try:
            result = run(batch.records, self._context(covered_by(batch)), self._order)
            self._in_hand.stage(ENCODE.encode())
            return self._encoded(batch, result)
        finally:
            self._in_hand.put_down()

    def give_up(self, batch: KafkaBatch, error: BaseException) -> Processed:
        """Return the dead letter of a record that makes the whole run fail, even alone.

        What the failed run charged for the record is given back. Raises RetryableError, StaleBatchError.
        """
        record = batch.records[0]
        about = batch.describe() | {"project_id": project_of(record.body)}  # reports must not loop
        log.error("a record could not be processed", extra=about, exc_info=error)
        letter = DeadLetter(record, ENCODE, "internal", describe_failure(error))
        order = order_that_ends_at(ERRORS, _AFTER_CHARGES, "internal", letter.detail)
        try:
            result = run(batch.records, self._context(covered_by(batch)), order)
        except (RetryableError, StaleBatchError):
            raise
        except BaseException:  # noqa: BLE001 -- it fails before it is charged, so nothing has to be given back
            result = BatchResult()
        return self._encoded(batch, replace(result, outcomes=[], dead=[letter]))

    def committed(self, batch: KafkaBatch, result: Processed, run_s: float, commit_s: float) -> None:
        """Count a batch whose transaction was committed."""
        done = result.result
        _log_own_failures(done.dead)
        self._metrics.batch_committed(
            records=len(batch.records),
            size_bytes=sum(len(record.body) for record in batch.records),
            events=len(done.events),
            new_groups=sum(item.is_new_group for item in done.events),
            outcomes=done.outcomes,
            dead=[(letter.stage, letter.reason) for letter in done.dead],
            errors=count_kinds(as_json(item.event) for item in done.events),
            stage_s=done.stage_s,
            run_s=run_s,
            commit_s=commit_s,
        )
        numbers: dict[str, Any] = {"events": len(done.events), "dead_letters": len(done.dead)}
        times = {"run_ms": round(run_s * 1e3, 1), "commit_ms": round(commit_s * 1e3, 1)}
        log.debug("batch", extra=batch.describe() | numbers | times)

    def _encoded(self, batch: KafkaBatch, result: BatchResult) -> Processed:
        return Processed(result, encode(result, batch.headers, self._settings, self._clock.now()))


def noting(order: Order, in_hand: InHand) -> Order:
    """Return an order that notes the name of each stage in `in_hand` before the stage runs. The supervisor reads it."""

    def noted(stage: Stage) -> Stage:
        name = stage.name.encode()

        def run_noted(items: Items, ctx: Context) -> StageResult:
            in_hand.stage(name)
            return stage.run(items, ctx)

        return replace(stage, run=run_noted)

    return Order(order.decode, tuple(map(noted, order.stages)))


def order_that_ends_at(order: Order, stage_name: str, reason: str, detail: str) -> Order:
    """Return an order in which every item that reaches the stage becomes a dead letter there, and the stage sees none of them.

    What earlier attempts charged for the record is given back, as for any other record that dies late.
    """
    if stage_name == FIRST_STAGE:
        return Order(lambda record, _: [DeadLetter(record, stage_name, reason, detail)], order.stages)

    def end(stage: Stage) -> Stage:
        def run_none(items: Items, ctx: Context) -> StageResult:
            stage.run([], ctx)
            return StageResult(dead=[item.died(stage.name, reason, detail) for item in items])

        return replace(stage, run=run_none)

    stages = (*order.stages, Stage(ENCODE, lambda items, _: StageResult(list(items))))
    return Order(order.decode, tuple(end(stage) if stage.name == stage_name else stage for stage in stages))


class Worker(NamedTuple):
    """A worker put together: its loop, the partitions that it owns now, and the watch of its group's lag.

    `redis_silent_s` returns how long the call to Redis that is under way has been waiting, 0 if there is none.
    """

    loop: Loop[KafkaBatch, Processed]
    partitions: Callable[[], list[int]]
    lag_watch: LagWatch
    redis_silent_s: Callable[[], float] = lambda: 0.0


def covered_by(batch: KafkaBatch) -> tuple[Polled, ...]:
    """Return the range of offsets that a batch covers in each partition, as the ledger takes it."""
    return tuple(
        Polled(batch.logs[partition], partition, batch.bases[partition], end) for partition, end in sorted(batch.ends.items())
    )


def _log_own_failures(dead: Iterable[DeadLetter]) -> None:
    """Log dead letters that are faults of the pipeline: one line for each kind, with the project and position of one of them."""
    kinds = {(letter.stage, letter.detail.partition(":")[0]): letter for letter in dead if letter.reason == "internal"}
    for (stage, kind), letter in kinds.items():
        place = {"project_id": project_of(letter.record.body), "position": letter.record.position}
        log.error("an event could not be processed", extra={"stage": stage, "kind": kind, **place})
