"""Worker: poll a batch, run the stages, commit all that it came to with its offsets. Knows no client; those are handed in.

What "good" looks like: at most 40 us of CPU an event beside the stages, and every record in exactly one place whatever is killed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Protocol

from pipeline.kafka.batch import WorkerBatch, project_of
from pipeline.kafka.lag import Lag
from pipeline.model.dead_letter import DeadLetter
from pipeline.model.errors import CommitError, RetryableError, StaleBatchError, describe_failure
from pipeline.model.output import Outputs
from pipeline.observability.prometheus_metrics import WorkerMetrics
from pipeline.quotas.ledger import Polled
from pipeline.runtimes.dead_letter_limit import DeadLetterLimit
from pipeline.runtimes.garbage import GarbageBetweenBatches
from pipeline.runtimes.worker.encoding import encode
from pipeline.settings.schema import Settings
from pipeline.stages.contract import Context
from pipeline.stages.runner import BatchResult, run

log = logging.getLogger(__name__)

IDLE_CHORES_EVERY_S = 1.0
ALL_BROKERS_DOWN = "_ALL_BROKERS_DOWN"
"""The client's name for it, among the errors of a source."""
STALE_BEFORE_WARNING = 5
FAILURES_BEFORE_WAITING = 3
"""Commits that fail in a row. Fewer are a rebalance or a broker's restart."""
RUNNING_AGAIN_AFTER_S = 5.0
"""Without a batch in hand for so long, whatever a batch waited for is not what a worker waits for: it was dropped meanwhile."""
BROKERS_DOWN = "kafka: no broker can be reached"
BROKERS_DOWN_FOR_S = 5.0
"""For so long the client's word that all brokers are down holds: it says it again with each try, every other second."""
HALTED_RETRY_S = 15.0
"""How long a batch over the dead-letter limit rests before it is tried again: rules may have been mended meanwhile."""


class Source(Protocol):
    """Where batches come from; `KafkaSource` says what each call promises."""

    lag: Lag
    errors: list[str]

    @property
    def partitions(self) -> list[int]: ...  # noqa: D102
    @property
    def is_member(self) -> bool: ...  # noqa: D102
    def poll(self) -> WorkerBatch | None: ...  # noqa: D102
    def wait(self, seconds: float) -> bool: ...  # noqa: D102
    def resume(self) -> None: ...  # noqa: D102
    def committed(self, ends: Mapping[int, int]) -> None: ...  # noqa: D102
    def rewind(self) -> None: ...  # noqa: D102
    def passed(self) -> tuple[dict[int, int], Any]: ...  # noqa: D102
    def watch_lag(self) -> None: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


class Sink(Protocol):
    """Where batches go; `KafkaSink` says what each call promises."""

    errors: list[str]

    def commit(self, outputs: Outputs, topic: str, ends: Mapping[int, int], membership: Any) -> None: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


class State(StrEnum):
    """What the worker is doing, as `/ready` and the metrics say it."""

    STARTING = "starting"
    RUNNING = "running"
    WAITING = "waiting"
    """A service is away. Partitions are paused, nothing is lost."""
    HALTED = "halted"
    """Too many dead letters. Partitions are paused, nothing is lost."""
    STOPPED = "stopped"


class Worker:
    """The hot path. `run` blocks in the thread that calls it; `stop` may be called from any.

    `watch` is called about once a second, to bring metrics up to date that others keep. `check` is called as often while no
    batch comes, and raises RetryableError for a service that one would wait for.
    """

    def __init__(
        self,
        settings: Settings,
        source: Source,
        sink: Sink,
        context: Callable[[tuple[Polled, ...]], Context],
        metrics: WorkerMetrics,
        *,
        watch: Callable[[], None] = lambda: None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._source = source
        self._sink = sink
        self._context = context
        self._metrics = metrics
        self._watch = watch
        self._check = check
        self._limit = DeadLetterLimit(settings.dead_letters)
        self._stopping = threading.Event()
        self._next_chores = 0.0
        self._stale_in_a_row = 0
        self._failed_in_a_row = 0
        self._brokers_down_until = 0.0
        self._away = ""
        """What no batch waits for now, but would: a service that does not answer."""
        self._worked_last = 0.0
        self._held_last = 0.0
        self._garbage = GarbageBetweenBatches()
        self.state = State.STARTING
        self.why = ""
        """Why the worker is waiting or halted."""
        self.last_beat = time.monotonic()
        """When the loop last turned; a live worker's is recent."""

    def run(self) -> None:
        """Work until `stop`. A batch that was begun is finished, so that leaving loses and repeats nothing."""
        try:
            with self._garbage:
                while not self._stopping.is_set():
                    self.last_beat = time.monotonic()
                    batch = self._source.poll()
                    if batch is not None:
                        self._settle(batch)
                    if not self._stopping.is_set():
                        self._chores()
                    self._garbage.after_batch()
        finally:
            self._enter(State.STOPPED)
            self._source.close()
            self._sink.close()

    @property
    def partitions(self) -> list[int]:
        """The input partitions owned now."""
        return self._source.partitions

    def stop(self) -> None:
        """Ask the loop to end after its batch."""
        self._stopping.set()

    def _settle(self, batch: WorkerBatch) -> bool:
        """Bring a batch to its end; false where it was dropped, to be read again from what is committed."""
        started = time.perf_counter()
        while True:
            try:
                result = run(batch.records, self._context(covered_by(batch)))
                outputs = self._encode(batch, result)
            except RetryableError as error:
                self._metrics.service_error(error.service)
                if not self._hold(State.WAITING, str(error), error.retry_in_s):
                    return False
                continue
            except StaleBatchError as error:
                return self._dropped_as_stale(error)
            except Exception as error:
                if len(batch.records) > 1:
                    first, second = batch.halves()
                    return self._settle(first) and self._settle(second)
                about = _place(batch) | {"project_id": project_of(batch.records[0].body)}  # reports of its own must not loop
                log.exception("a record that cannot be processed", extra=about)
                letter = DeadLetter(batch.records[0], "worker", "internal", describe_failure(error))
                result = BatchResult(dead=[letter])
                outputs = self._encode(batch, result)
            if not self._limit.would_exceed(len(batch.records), len(result.dead), time.time()):
                break
            why = f"over {self._settings.dead_letters.max_ratio:.0%} dead letters: {_describe(result.dead)}"
            if not self._hold(State.HALTED, why, HALTED_RETRY_S):
                return False
        self._enter(State.RUNNING)
        return self._commit(batch, result, outputs, started)

    def _encode(self, batch: WorkerBatch, result: BatchResult) -> Outputs:
        return encode(result, batch.headers, self._settings, time.time())

    def _commit(self, batch: WorkerBatch, result: BatchResult, outputs: Outputs, started: float) -> bool:
        worked = time.perf_counter()
        try:
            self._sink.commit(outputs, self._settings.kafka.events_in, batch.ends, batch.membership)
        except CommitError as error:
            return self._dropped_uncommitted(batch, error)
        self._source.committed(batch.ends)
        self._stale_in_a_row = self._failed_in_a_row = 0
        self._worked_last = time.monotonic()
        run_s, commit_s = worked - started, time.perf_counter() - worked
        self._limit.add(len(batch.records), len(result.dead), time.time())
        _log_own_failures(result.dead)
        self._metrics.batch_committed(
            records=len(batch.records),
            size_bytes=sum(len(record.body) for record in batch.records),
            events=len(result.events),
            new_groups=sum(item.is_new_group for item in result.events),
            outcomes=result.outcomes,
            dead=[(letter.stage, letter.reason) for letter in result.dead],
            stage_s=result.stage_s,
            run_s=run_s,
            commit_s=commit_s,
        )
        numbers = {"events": len(result.events), "dead_letters": len(result.dead)}
        times = {"run_ms": round(run_s * 1e3, 1), "commit_ms": round(commit_s * 1e3, 1)}
        log.debug("batch", extra=_place(batch) | numbers | times)
        return True

    def _hold(self, state: State, why: str, seconds: float) -> bool:
        """Keep the batch for a while with all partitions paused; false where it is to be dropped."""
        if self.state is not state or self.why != why:
            log.error("consumption stands still", extra={"state": state, "why": why})
        self._enter(state, why)
        until = time.monotonic() + seconds
        while not self._stopping.is_set():
            self.last_beat = self._held_last = time.monotonic()
            left = until - self.last_beat
            if left <= 0:
                self._source.resume()
                return True
            if not self._source.wait(min(left, 0.25)):
                self._source.resume()
                return False
            self._chores()
            self._garbage.after_batch()
        self._source.rewind()  # or the positions of what is dropped here could be committed as if it were done
        return False

    def _dropped_uncommitted(self, batch: WorkerBatch, error: CommitError) -> bool:
        """Read a batch again of which nothing is visible. Where that goes on, say so and wait between the tries."""
        self._metrics.batch_dropped("commit")
        log.warning("batch not committed, read again: %s", error, extra=_place(batch))
        self._failed_in_a_row += 1
        self._source.rewind()
        if self._failed_in_a_row >= FAILURES_BEFORE_WAITING:
            self._hold(State.WAITING, f"kafka: {error}", min(10.0, self._failed_in_a_row))
        return False

    def _dropped_as_stale(self, error: StaleBatchError) -> bool:
        """Drop a batch that another worker has gone past. Where that goes on, nobody has: the offsets were moved back."""
        self._metrics.batch_dropped("stale")
        self._stale_in_a_row += 1
        self._source.rewind()
        if self._stale_in_a_row >= STALE_BEFORE_WARNING:
            why = f"the ledger is ahead of the committed offsets ({error}): pipeline offsets reset moves both"
            self._hold(State.WAITING, why, min(30.0, self._stale_in_a_row))
        return False

    def _chores(self) -> None:
        """Once a second: commit positions behind transaction markers, and tell the metrics about lag and errors."""
        now = time.monotonic()
        if now < self._next_chores:
            return
        self._next_chores = now + IDLE_CHORES_EVERY_S
        if self.state is State.STARTING and self._source.is_member:  # with partitions or without: there may be more of us
            self._enter(State.RUNNING)
        if self._is_idle_since_hold(now):
            self._enter(State.RUNNING)
        if self.state is State.RUNNING:
            ends, membership = self._source.passed()
            if ends:
                self._commit_positions(ends, membership)
        self._watch()
        self._source.watch_lag()
        self._metrics.standing(self._source.lag.by_partition(time.time()), self._source.partitions)
        self._watch_services(now)
        if self.state is State.STARTING and self._source.errors:
            self._enter(State.STARTING, f"kafka: {self._source.errors[-1]}")
        for errors in (self._source.errors, self._sink.errors):
            while errors:
                self._metrics.kafka_error(errors.pop())

    def _is_idle_since_hold(self, now: float) -> bool:
        """Say whether the batch that waited or was halted is gone, and no other has come to say how things stand."""
        is_held = self.state in {State.WAITING, State.HALTED} and self.why != self._away
        return is_held and now - self._held_last > RUNNING_AGAIN_AFTER_S

    def _watch_services(self, now: float) -> None:
        """Say that a service is away also where no batch is at hand that fails for it."""
        if self.state is State.STARTING or (self.state is not State.RUNNING and self.why != self._away):
            return  # we have yet to join, or a batch is at hand that says it
        before, self._away = self._away, self._find_away(now)
        if self._away:
            if self._away != before:
                log.error("consumption stands still", extra={"state": State.WAITING, "why": self._away})
            self._enter(State.WAITING, self._away)
        elif before:
            self._enter(State.RUNNING)

    def _find_away(self, now: float) -> str:
        """Name a service that does not answer, with what is known of it."""
        if ALL_BROKERS_DOWN in self._source.errors:
            self._brokers_down_until = now + BROKERS_DOWN_FOR_S
        if now < self._brokers_down_until:
            return BROKERS_DOWN
        if now - self._worked_last > IDLE_CHORES_EVERY_S:
            try:
                self._check()
            except RetryableError as error:
                self._metrics.service_error(error.service)
                return str(error)
        return ""

    def _commit_positions(self, ends: dict[int, int], membership: Any) -> None:
        try:
            self._sink.commit({}, self._settings.kafka.events_in, ends, membership)
        except CommitError as error:
            log.warning("positions not committed: %s", error)
            self._source.rewind()
        else:
            self._source.committed(ends)

    def _enter(self, state: State, why: str = "") -> None:
        if state is State.RUNNING and self.state in {State.WAITING, State.HALTED}:
            log.info("going on")
        self.state, self.why = state, why
        self._metrics.state(state)


def covered_by(batch: WorkerBatch) -> tuple[Polled, ...]:
    """Return what each partition's part of a batch covers, as the ledger takes it."""
    return tuple(Polled(batch.topic_id, partition, batch.bases[partition], end) for partition, end in sorted(batch.ends.items()))


def _place(batch: WorkerBatch) -> dict[str, Any]:
    return {"records": len(batch.records), "bases": dict(batch.bases), "ends": dict(batch.ends)}


def _log_own_failures(dead: Iterable[DeadLetter]) -> None:
    """Log what died of a bug of ours, one line for each kind; the project says whether it may be reported (no loops)."""
    kinds = {(letter.stage, letter.detail.partition(":")[0]): letter for letter in dead if letter.reason == "internal"}
    for (stage, kind), letter in kinds.items():
        place = {"project_id": project_of(letter.record.body), "position": letter.record.position}
        log.error("an event could not be processed", extra={"stage": stage, "kind": kind, **place})


def _describe(dead: Sequence[DeadLetter]) -> str:
    """Count dead letters by stage and reason, the most first, each kind with one example."""
    kinds = Counter((letter.stage, letter.reason) for letter in dead)
    examples = {(letter.stage, letter.reason): letter.detail[:200] for letter in dead}
    return ", ".join(
        f"{count} {stage}: {reason}" + (f" ({examples[stage, reason]})" if examples[stage, reason] else "")
        for (stage, reason), count in kinds.most_common(5)
    )
