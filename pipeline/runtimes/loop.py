"""The one loop: take a batch from a source, do the work, and make results and positions durable together.

Services differ in source, work and sink. A worker, for instance, reads Kafka, runs the stages and writes Kafka; a gateway's
shipper reads the spool and writes Kafka. Readiness, waiting, halting and the search for a bad record are written here once.
docs/adr/0006-one-loop.md lists the services that the interfaces were made for.

This file is long because the order of these is the point of it, and is read in one place.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic

from pipeline.model.dead_letter import DeadLetter
from pipeline.model.errors import CommitError, RetryableError, StaleBatchError
from pipeline.runtimes.clock import MACHINE, Clock
from pipeline.runtimes.dead_letter_limit import DeadLetterLimit
from pipeline.runtimes.garbage import GarbageBetweenBatches
from pipeline.runtimes.protocols import B, LoopMetrics, R, Sink, Source, Work

log = logging.getLogger(__name__)


class State(StrEnum):
    """What a loop is doing, as `/ready` and the metrics show it."""

    STARTING = "starting"
    RUNNING = "running"
    WAITING = "waiting"
    """A service is away. The source stands still and nothing is lost."""
    HALTED = "halted"
    """Too many dead letters. The source stands still and nothing is lost."""
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Timings:
    """How long the loop waits, in seconds, and how often it tries."""

    chores_every_s: float = 1.0
    beat_s: float = 0.25
    """While a batch is held, how often the loop checks whether it was stopped or the batch was taken away."""
    failed_commits_before_waiting: int = 3
    """Fewer failed commits in a row are normal during a rebalance or a broker's restart."""
    stale_before_waiting: int = 5
    retry_s: float = 2.0
    """Pause between tries of a commit that keeps failing, or of a batch that stays stale."""
    halted_retry_s: float = 15.0
    """How long a batch over the dead-letter limit rests before it is tried again, since somebody may have mended the rules."""
    held_batch_is_gone_after_s: float = 5.0
    """If no batch came for this long after one was dropped, the reason why that batch waited is no longer shown."""


class Loop(Generic[B, R]):
    """The loop. It runs in the thread that calls `run`; `stop` may be called from any thread.

    `chores` are called about once a second, also while a batch is held.
    """

    def __init__(
        self,
        source: Source[B],
        work: Work[B, R],
        sink: Sink,
        metrics: LoopMetrics,
        limit: DeadLetterLimit,
        *,
        chores: Sequence[Callable[[], None]] = (),
        clock: Clock = MACHINE,
        timings: Timings | None = None,
    ) -> None:
        self._source = source
        self._work = work
        self._sink = sink
        self._metrics = metrics
        self._limit = limit
        self._extra_chores = chores
        self._clock = clock
        self._timings = timings or Timings()
        self._stopping = threading.Event()
        self._garbage = GarbageBetweenBatches()
        self._next_chores = 0.0
        self._stale_in_a_row = 0
        self._failed_in_a_row = 0
        self._failed_at = 0.0
        self._failure = ""
        """When a commit failed last, and why."""
        self._committed_at = 0.0
        self._held_at = 0.0
        self._away = ""
        """The error of a service that does not answer while no batch is at hand, or ""."""
        self.batches = 0
        """How many batches became durable."""
        self.state = State.STARTING
        self.why = ""
        """Why the loop is starting, waiting or halted."""
        self.step = "start"
        """What the loop's thread is doing: poll, run, commit or hold."""
        self.last_beat = clock.monotonic()
        """When the loop last made progress. If this is long ago, `step` takes long."""

    def run(self) -> None:
        """Process batches until `stop` is called. A batch that was begun is finished, so nothing is lost or repeated."""
        try:
            with self._garbage:
                while not self._stopping.is_set():
                    self._beat("poll")
                    batch = self._source.poll()
                    if batch is not None:
                        self._settle(batch)
                    else:
                        self._look_at_source()
                    if not self._stopping.is_set():
                        self._do_chores()
                    self._garbage.after_batch()
        finally:
            self._enter(State.STOPPED)
            self._source.close()
            self._sink.close()

    def stop(self) -> None:
        """Ask the loop to end after its batch."""
        self._stopping.set()

    def _beat(self, step: str) -> None:
        self.step, self.last_beat = step, self._clock.monotonic()

    def _settle(self, batch: B) -> bool:
        """Process a batch until it is committed. False if it was dropped, to be read again from the durable positions."""
        started = self._clock.monotonic()
        failure: BaseException | None = None
        while True:
            self._beat("run")
            try:
                result = self._work.run(batch) if failure is None else self._work.give_up(batch, failure)
            except RetryableError as error:
                self._metrics.service_error(error.service)
                if not self._hold(State.WAITING, str(error), error.retry_in_s):
                    return False
                continue
            except StaleBatchError as error:
                return self._drop_stale(error)
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:  # one bad record must not stop its neighbours; a panic in Rust is no Exception
                if failure is not None:
                    raise
                if len(batch.records) > 1:
                    first, second = batch.halves()
                    return self._settle(first) and self._settle(second)
                failure = error
                continue
            if not self._limit.would_exceed(len(batch.records), len(result.dead), self._clock.now()):
                break
            why = f"over {self._limit.max_ratio:.0%} dead letters: {_describe(result.dead)}"
            if not self._hold(State.HALTED, why, self._timings.halted_retry_s):
                return False
            failure = None  # what made it fail may be mended by now
        if self.state is not State.STARTING and self.why != self._away:
            self._enter(State.RUNNING)
        return self._commit(batch, result, started)

    def _commit(self, batch: B, result: R, started: float) -> bool:
        self._beat("commit")
        worked = self._clock.monotonic()
        positions = batch.positions
        try:
            self._sink.commit(result.outputs, positions)
        except CommitError as error:
            return self._drop_uncommitted(batch, error)
        self._source.committed(positions)
        self.batches += 1
        self._away = ""
        self._enter(State.RUNNING)
        self._stale_in_a_row = self._failed_in_a_row = 0
        self._committed_at = self._clock.monotonic()
        self._limit.add(len(batch.records), len(result.dead), self._clock.now())
        self._work.committed(batch, result, worked - started, self._committed_at - worked)
        return True

    def _hold(self, state: State, why: str, seconds: float) -> bool:
        """Wait with the batch at hand while the source delivers nothing. False if the batch must be dropped."""
        if self.state is not state or self.why != why:
            log.error("consumption stands still", extra={"state": state, "why": why})
        self._enter(state, why)
        until = self._clock.monotonic() + seconds
        while not self._stopping.is_set():
            self._beat("hold")
            self._held_at = self.last_beat
            left = until - self.last_beat
            if left <= 0:
                self._source.resume()
                return True
            if not self._source.wait(min(left, self._timings.beat_s)):
                self._source.resume()
                return False
            self._do_chores()
            self._garbage.after_batch()
        self._source.rewind()  # else the positions of the dropped batch could be committed as if it were done
        return False

    def _drop_uncommitted(self, batch: B, error: CommitError) -> bool:
        """Drop a batch whose commit failed, so that it is read again.

        If this repeats, report it and pause between the attempts.
        """
        self._metrics.batch_dropped("commit")
        log.warning("batch not committed, read again: %s", error, extra=batch.describe())
        self._failed_in_a_row += 1
        self._failed_at = self._clock.monotonic()
        self._away = self._failure = str(error)
        self._enter(State.WAITING, self._away)
        self._source.rewind()
        if self._failed_in_a_row >= self._timings.failed_commits_before_waiting:
            self._hold(State.WAITING, str(error), self._timings.retry_s)
        return False

    def _drop_stale(self, error: StaleBatchError) -> bool:
        """Drop a batch because another reader is ahead of it.

        If this repeats, there is no other reader: positions were moved back by hand.
        """
        self._metrics.batch_dropped("stale")
        self._stale_in_a_row += 1
        self._source.rewind()
        if self._stale_in_a_row >= self._timings.stale_before_waiting:
            self._hold(State.WAITING, str(error), self._timings.retry_s)
        return False

    def _do_chores(self) -> None:
        """About once a second, commit skipped positions, check the services, and call the chores."""
        now = self._clock.monotonic()
        if now < self._next_chores:
            return
        self._next_chores = now + self._timings.chores_every_s
        if self._is_held_batch_gone(now):
            self._enter(State.RUNNING)
        self._look_at_services(now)
        if self.state is State.RUNNING:
            self._commit_skipped()
        for chore in self._extra_chores:
            chore()

    def _is_held_batch_gone(self, now: float) -> bool:
        """Whether a batch that was waiting or halted was dropped, and no other batch has come since."""
        is_held = self.state in {State.WAITING, State.HALTED} and self.why != self._away
        return is_held and now - self._held_at > self._timings.held_batch_is_gone_after_s

    def _look_at_source(self) -> None:
        """Show at once that no batch can come."""
        if self.state is State.RUNNING and (why := self._source.unready()):
            self._show_away(why)

    def _look_at_services(self, now: float) -> None:
        """Show that a service is away also while no batch is at hand that would fail because of it."""
        if self.state in {State.WAITING, State.HALTED} and self.why != self._away:
            return  # the batch that is held shows what it waits for
        self._show_away(self._find_away(now))

    def _show_away(self, why: str) -> None:
        before, self._away = self._away, why
        if self.state is State.STARTING and why:
            if why != before:
                log.info("not started yet", extra={"why": why})
            self._enter(State.STARTING, why)
        elif why:
            if why != before:
                log.error("consumption stands still", extra={"state": State.WAITING, "why": why})
            self._enter(State.WAITING, why)
        elif before or self.state is State.STARTING:
            self._enter(State.RUNNING)

    def _find_away(self, now: float) -> str:
        """Return why no batch can come or be processed at the moment, or ""."""
        if why := self._source.unready():
            return why
        is_failing = self._failed_in_a_row >= self._timings.failed_commits_before_waiting
        if is_failing and now - self._failed_at < self._timings.held_batch_is_gone_after_s:
            return self._failure
        if now - self._committed_at > self._timings.chores_every_s:
            try:
                self._work.check()
            except RetryableError as error:
                self._metrics.service_error(error.service)
                return str(error)
        return ""

    def _commit_skipped(self) -> None:
        positions = self._source.skipped()
        if positions is None:
            return
        self._beat("commit")
        try:
            self._sink.commit(None, positions)
        except CommitError as error:
            log.warning("positions not committed: %s", error)
            self._source.rewind()
        else:
            self._source.committed(positions)

    def _enter(self, state: State, why: str = "") -> None:
        if state is State.RUNNING and self.state in {State.WAITING, State.HALTED}:
            log.info("going on")
        self.state, self.why = state, why
        self._metrics.state(state)


def _describe(dead: Sequence[DeadLetter]) -> str:
    """Return counts of dead letters by stage and reason as text, the most frequent first, each kind with one example."""
    kinds = Counter((letter.stage, letter.reason) for letter in dead)
    examples = {(letter.stage, letter.reason): letter.detail[:200] for letter in dead}
    return ", ".join(
        f"{count} {stage}: {reason}" + (f" ({examples[stage, reason]})" if examples[stage, reason] else "")
        for (stage, reason), count in kinds.most_common(5)
    )
