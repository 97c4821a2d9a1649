"""One history: workers on a model of the broker and a Redis, played by a scheduler that decides at each call who goes on.

A worker runs the real loop, consumer, producer, runner and ledger. It can be frozen or killed between any two calls, and the same
plan always gives the same history.
"""

from __future__ import annotations

import heapq
import logging
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from types import SimpleNamespace
from typing import Any
from unittest import mock

from greenlet import getcurrent, greenlet
from simulation import kafka_clients
from simulation.broker_model import Broker, Message
from simulation.faults import NOTICED_WITHIN_S, Faults
from simulation.plan import BREAKS, VERSIONS, Fault, Input, Plan
from simulation.stores import Store
from simulation.work import SERIAL_HEADER, WINDOW_S, Place, Rules
from simulation.worker import START_S, DiedError, Worker, WorldClock

from pipeline.quotas.redis_ledger import RedisLedger
from pipeline.runtimes.loop import Loop

FIRST_WINDOW_S = START_S - START_S % WINDOW_S + 1 - WINDOW_S
MOST_STEPS = 12_000
STEP_S = 0.003
SETTLES_WITHIN_S = 8.0
"""So long after everything is done workers may still notice what became of the input."""
PATCHED_TIME = (
    "pipeline.kafka.consumer",
    "pipeline.kafka.errors",
    "pipeline.kafka.producer",
    "pipeline.kafka.start",
    "pipeline.quotas.losses",
    "pipeline.quotas.redis_ledger",
)


class BrokenHistoryError(AssertionError):
    """A promise was broken. `promise` says which one."""

    def __init__(self, promise: str) -> None:
        super().__init__(promise)
        self.promise = promise


class World:
    """Plays a plan. `run` raises BrokenHistoryError where a promise is broken."""

    loop_type: type[Loop[Any, Any]] = Loop
    ledger_type: type[RedisLedger] = RedisLedger

    def __init__(self, plan: Plan, store: Store) -> None:
        self.plan, self.store = plan, store
        self.clock = WorldClock()
        store.begin(self.clock.now)
        self.broker = Broker(plan.partitions)
        self.scheduler = getcurrent()
        self.versions = [Rules(plan, version, FIRST_WINDOW_S) for version in range(VERSIONS)]
        self.version = 0
        self.step = 0
        self.lines: list[str] = []
        self.workers: list[Worker] = []
        self.lives: list[Worker] = []
        self.is_redis_away = False
        self.breaks: Counter[str] = Counter()
        self.reported_lost = 0
        self.destroyed: Counter[str] = Counter()
        """What a fault of Redis took from counters, by their keys."""
        self.losses_reported = 0
        self.lost_ends: dict[str, int] = {}
        """For ledgers that lost something: where they end now. The next caller knows of it, or nobody ever will."""
        self.evicted_before: list[Worker] = []
        """The workers that were there when keys were evicted."""
        self.must_report = False
        """Whether a worker could know that Redis has lost data."""
        self.gone: dict[int, str] = {}
        """Records that nobody can read any more, by serial, and why."""
        self.sent: dict[int, tuple[Input, Any, Message]] = {}
        """What was written to the input, by serial: what it says, its log, and the message. A replayed letter is another one."""
        self.armed: list[Fault] = []
        """Faults that wait for a call to befall."""
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._faults = Faults(self)
        rng = random.Random(plan.seed ^ 0x51)
        self._draws = [rng.random() for _ in range(1_021)]
        self._drawn = 0
        self._calls = count(1)

    # What workers use --------------------------------------------------------------------------------------------------

    def tell(self, line: str) -> None:
        self.lines.append(f"{self.step:5} {self.clock.seconds - START_S:7.2f}s  {line}")

    def draw(self, most: int) -> int:
        """Return a number from 0 to before `most`, decided by the step."""
        self._drawn += 1
        return int(self._draws[(self.step * 7 + self._drawn) % len(self._draws)] * most)

    def take_fault(self, *kinds: str) -> float | None:
        """Return the amount of a fault of these kinds that waits for its victim, and take it away."""
        for at, fault in enumerate(self.armed):
            if fault.kind in kinds:
                del self.armed[at]
                return fault.amount
        return None

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (self.clock.seconds + seconds, next(self._numbers), action))

    # The scheduler -----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        with self._patched():
            try:
                self._play()
                self._look_for_losses()
            finally:
                for worker in list(self.workers):
                    self.end(worker)

    @contextmanager
    def _patched(self) -> Iterator[None]:
        call_ids = SimpleNamespace(token_hex=lambda size: f"{self.plan.seed % 2**24:06x}{next(self._calls):0{2 * size - 6}x}")
        patches: list[Any] = [mock.patch(f"{module}.time", self.clock) for module in PATCHED_TIME]
        patches += [
            mock.patch("pipeline.kafka.consumer.Consumer", kafka_clients.Consumer),
            mock.patch("pipeline.kafka.producer.Producer", kafka_clients.Producer),
            mock.patch("pipeline.kafka.start.AdminClient", kafka_clients.AdminClient),
            mock.patch("pipeline.quotas.redis_ledger.secrets", call_ids),
        ]
        for patch in patches:
            patch.start()
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)
            for patch in reversed(patches):
                patch.stop()

    def _play(self) -> None:
        inputs = sorted(self.plan.inputs, key=lambda record: record.step)
        faults = list(self.plan.faults)
        has_settled = False
        for number in range(self.plan.workers):
            self.start(f"w{number + 1}", 1)
        while True:
            self.step += 1
            self._send_due(inputs)
            while faults and faults[0].step <= self.step:
                self._faults.befall(faults.pop(0))
            if not inputs and not faults and not self._timers:
                self.armed.clear()
                if self._is_done():
                    if has_settled or not self.plan.kinds & set(BREAKS):
                        return
                    has_settled = True
                    self.later(SETTLES_WITHIN_S, lambda: None)
            if self.step > MOST_STEPS:
                states = {worker.name: f"{worker.loop.state}: {worker.loop.why}" for worker in self.workers if worker.loop}
                raise BrokenHistoryError(f"stuck: {states}")
            self._go_on()

    def _go_on(self) -> None:
        now = self.clock.seconds
        awake = [worker for worker in self.workers if max(worker.frozen_until, worker.wake_at) <= now]
        if awake:
            self.clock.seconds += STEP_S
            self._resume(awake[self.draw(len(awake))])
        else:
            moments = [max(worker.frozen_until, worker.wake_at) for worker in self.workers]
            moments += [self._timers[0][0]] if self._timers else []
            self.clock.seconds = max(now, min(moments)) if moments else now + 1.0
        while self._timers and self._timers[0][0] <= self.clock.seconds:
            heapq.heappop(self._timers)[2]()
        self.broker.abort_old(self.clock.seconds)

    def _resume(self, worker: Worker) -> None:
        kafka_clients.Current.process = worker
        worker.greenlet.switch()
        if worker.failure is not None:
            raise BrokenHistoryError(f"a worker ended: {worker.failure!r}") from worker.failure
        if worker.greenlet.dead:
            self.tell(f"{worker.name} has left")
            self.workers.remove(worker)
        else:
            self._faults.strike(worker)

    def start(self, slot: str, life: int) -> None:
        worker = Worker(self, slot, life)
        self.workers.append(worker)
        self.lives.append(worker)

    def end(self, worker: Worker) -> None:
        worker.is_dead = True
        if worker in self.workers:
            self.workers.remove(worker)
        if worker.greenlet:
            worker.greenlet.throw(DiedError)

    def _is_done(self) -> bool:
        return all(
            not log.messages
            or (
                self.broker.committed_offset(partition) > max(log.messages)
                and self.broker.offsets[partition][1].removeprefix("log=").partition("~")[0] == self.broker.topic_id
            )
            for partition, log in enumerate(self.broker.logs)
        )

    def _look_for_losses(self) -> None:
        """Let those that are still there do what they do twice a minute, and add up what all workers have counted."""
        self.is_redis_away = False
        self.clock.seconds += 61.0
        for worker in self.workers:
            if worker.ledger is not None and worker.ends:
                look = greenlet(worker.ledger.look_for_losses)
                while not look.dead:
                    look.switch()
        self.must_report = self.must_report or any(worker in self.workers for worker in self.evicted_before)
        self.losses_reported = sum(worker.ledger.losses for worker in self.lives if worker.ledger is not None)

    def hide_losses(self, ledgers: Iterable[str]) -> None:
        """Note that ledgers were written and nobody was told how they were before. What they lost will not be noticed."""
        for ledger in ledgers:
            self.lost_ends.pop(ledger, None)

    # Input -------------------------------------------------------------------------------------------------------------

    def _send_due(self, inputs: list[Input]) -> None:
        while inputs and inputs[0].step <= self.step and self.takes(inputs[0].partition):
            self.send(inputs.pop(0))

    def takes(self, partition: int) -> bool:
        """Whether a partition takes records. One that lost its tail does not for a while: when it has grown past the committed
        offset, or past what a worker holds, nobody can tell any more that something is missing."""
        log = self.broker.logs[partition % len(self.broker.logs)]
        holds = any(worker.loop is not None and worker.loop.step in {"run", "hold"} for worker in self.workers)
        if log.closed_until and (self.broker.is_away or holds):
            log.closed_until = max(log.closed_until, self.clock.seconds + NOTICED_WITHIN_S)
        return (
            not self.broker.is_topic_gone
            and self.clock.seconds >= log.closed_until
            and self.broker.committed_offset(log.partition) <= log.end
        )

    def send(self, record: Input, headers: list[tuple[str, bytes]] | None = None) -> None:
        partition = record.partition % len(self.broker.logs)
        log = self.broker.logs[partition]
        log.end += record.gap
        serial = len(self.sent)
        sent_with = [*(headers or ()), (SERIAL_HEADER, str(serial).encode())]
        message = self.broker.append(partition, serial, str(record.uid).encode(), sent_with, self.clock.seconds)
        self.sent[serial] = record, log, message

    def called(self, worker: Worker, ends: dict[str, int]) -> bool:
        """Note that a worker's call of some ledgers was answered. Return whether the answer shows it that something was lost."""
        shows_loss = False
        for ledger, end in ends.items():
            lost_end = self.lost_ends.pop(ledger, None)
            if lost_end is not None and worker.ends.get(ledger, 0) > lost_end:
                shows_loss = True
            worker.ends[ledger] = end
        return shows_loss

    # What came of it ---------------------------------------------------------------------------------------------------

    @property
    def places(self) -> list[Place]:
        """Where records ended, in the order of commits."""
        return [value for topic, _, value, _ in self.broker.committed if topic == "out"]
