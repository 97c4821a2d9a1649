"""One seeded history: workers with the real loop and the real ledger, on a model of the broker, with faults at every call.

Each worker has a thread, and only the one whose turn it is runs, so a seed always gives the same history.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from pipeline.kafka.batch import KafkaBatch, KafkaPositions
from pipeline.model.category import DataCategory
from pipeline.model.dead_letter import DeadLetter
from pipeline.model.errors import CommitError, RetryableError
from pipeline.model.outcome import Fate
from pipeline.model.record import Form, Record, Token
from pipeline.model.scope import Scope
from pipeline.quotas.ledger import Claim, Sighting
from pipeline.quotas.model import Quota
from pipeline.quotas.redis_ledger import RedisLedger
from pipeline.redis.client import Client
from pipeline.redis.script import RedisScript
from pipeline.runtimes.clock import Clock
from pipeline.runtimes.dead_letter_limit import DeadLetterLimit
from pipeline.runtimes.loop import Loop
from pipeline.runtimes.worker.work import covered_by
from pipeline.settings.schema import DeadLetterSettings

START_S = 4_000_000_000.0
"""So late that Redis, whose clock is the machine's, lets no key expire during a history."""
FAULTY_STEPS, MOST_STEPS = 150, 4_000
SCOPE = Scope(1, 1)
SHOWN_LINES = 60


class DiedError(BaseException):
    """The worker is dead: no handler for errors may catch this."""


class BrokenHistoryError(AssertionError):
    """A promise was broken. The text says which one and what led to it."""


class SimulatedClock(Clock):
    """A clock that moves when the scheduler does."""

    seconds = START_S

    def now(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        return self.seconds


@dataclass(frozen=True)
class Place:
    """Where a committed record ended."""

    partition: int
    offset: int
    kind: str
    group: int = 0
    is_new: bool = False


@dataclass
class Result:
    """What the work made of a batch."""

    outputs: list[Place]
    dead: list[DeadLetter] = field(default_factory=list)


class Worker:
    """A process: source, work and sink of one real loop. Each call is a point where it may freeze or die."""

    def __init__(self, history: History, name: str) -> None:
        self.history, self.name = history, name
        self.may_run, self.is_doomed, self.frozen_until = threading.Semaphore(0), False, 0
        self.generation, self.bases, self.positions = -1, dict[int, int](), dict[int, int]()
        self.failure: BaseException | None = None
        self.ledger = RedisLedger(history.client, prefix=history.prefix, duplicates=history.duplicates)
        for slot in ("_admit", "_count"):
            setattr(self.ledger, slot, FaultyScript(self, getattr(self.ledger, slot), slot[1:]))
        limit = DeadLetterLimit(DeadLetterSettings(max_ratio=1.0))
        metrics: Any = NoMetrics()
        source: Any = self
        self.loop = history.loop_type(source, source, source, metrics, limit, clock=history.clock)
        self.loop._garbage = NoGarbage()  # type: ignore[assignment]
        self.thread = threading.Thread(target=self._live, daemon=True)
        self.thread.start()

    def _live(self) -> None:
        self.may_run.acquire()
        try:
            if not self.is_doomed:
                self.loop.run()
        except DiedError:
            pass
        except BaseException as error:  # noqa: BLE001 -- reported by the scheduler
            self.failure = error
        finally:
            self.history.back.release()

    def turn(self, what: str) -> None:
        """Let the scheduler choose who goes on. Raises DiedError where it chose that this worker dies here."""
        if self.is_doomed:
            raise DiedError
        self.history.doing[self.name] = what
        self.history.back.release()
        self.may_run.acquire()
        if self.is_doomed:
            raise DiedError

    def poll(self) -> KafkaBatch | None:
        self.turn("poll")
        history = self.history
        if self.generation != history.generation:
            self._join()
            return None
        if history.brokers_away:
            return None
        records, ends, left = [], {}, history.random.randint(1, 6)
        for partition, position in self.positions.items():
            for record in history.logs[partition]:
                if record.token.offset >= position and left:
                    records.append(record)
                    ends[partition] = record.token.offset + 1
                    left -= 1
        self.positions |= ends
        if not records:
            return None
        bases = {partition: self.bases[partition] for partition in ends}
        history.tell(f"{self.name} polls {bases} to {ends}")
        return KafkaBatch(records, {}, bases, ends, "in", dict.fromkeys(ends, "T"), self.generation)

    def _join(self) -> None:
        history = self.history
        if self.name not in history.members:
            history.members.add(self.name)
            history.generation += 1
        self.generation = history.generation
        self.ledger.forget()
        names = sorted(history.members)
        owned = [p for p in history.logs if names[p % len(names)] == self.name]
        self.bases = {partition: history.committed_offsets[partition] for partition in owned}
        self.positions = dict(self.bases)

    def wait(self, seconds: float) -> bool:
        self.turn("wait")
        self.history.clock.seconds += seconds
        if self.generation == self.history.generation:
            return True
        self.rewind()
        return False

    def rewind(self) -> None:
        self.bases = {partition: self.history.committed_offsets[partition] for partition in self.bases}
        self.positions = dict(self.bases)

    def committed(self, value: Any, *done: Any) -> None:
        """Both the source's and the work's; the work's has more arguments."""
        if not done:
            self.bases |= value.ends

    def unready(self) -> str:
        return "kafka: no broker can be reached" if self.history.brokers_away else ""

    def resume(self) -> None: ...
    def check(self) -> None: ...
    def close(self) -> None: ...
    def skipped(self) -> None: ...

    def run(self, batch: KafkaBatch) -> Result:
        """Admit and count, as the stages do, and nothing else."""
        records = batch.records
        if any(record.body.startswith(b"poison") for record in records):
            raise ValueError("poison")
        now, polled = self.history.clock.now(), covered_by(batch)
        polled = tuple(part._replace(organizations=frozenset({1})) for part in polled)
        quotas = [self.history.quota]
        claims = [Claim(r.token, SCOPE, DataCategory.ERROR, 1, _event_id(r), START_S, quotas) for r in records]
        decisions = self.ledger.admit(polled, claims, now)
        passed = [r for r, decision in zip(records, decisions, strict=True) if decision.fate is Fate.ACCEPTED]
        counted = self.ledger.count(polled, [_sighting(record) for record in passed], now)
        events = {record.token: answer for record, answer in zip(passed, counted, strict=True)}
        places = []
        for record in records:
            token = record.token
            if token in events:
                places.append(Place(token.partition, token.offset, "event", _group(record), events[token].is_new))
            else:
                places.append(Place(token.partition, token.offset, "outcome"))
        return Result(places)

    def give_up(self, batch: KafkaBatch, error: BaseException) -> Result:
        token = batch.records[0].token
        letter = DeadLetter(batch.records[0], "worker", "internal", str(error))
        return Result([Place(token.partition, token.offset, "dead letter")], [letter])

    def commit(self, outputs: Sequence[Place] | None, positions: KafkaPositions) -> None:
        self.turn("commit")
        history = self.history
        ends = dict(positions.ends)
        if history.brokers_away or positions.membership != history.generation:
            history.tell(f"{self.name} cannot commit {ends}: " + ("brokers away" if history.brokers_away else "fenced"))
            raise CommitError("kafka: refused")
        history.store(list(outputs or ()), ends)
        is_answer_lost = history.is_faulty and history.random.random() < 0.1
        history.tell(f"{self.name} commits {ends}" + (", and the answer is lost" if is_answer_lost else ""))
        self.turn("committed")
        if is_answer_lost:
            raise CommitError("kafka: no answer")


class FaultyScript(RedisScript):
    """The real script on the real server. Redis may be away before the call, or hang after it has taken effect."""

    def __init__(self, worker: Worker, script: RedisScript, name: str) -> None:
        super().__init__(script._client, script._text)
        self.worker, self.name = worker, name

    def run(self, calls: Sequence[Any]) -> list[bytes]:
        self.worker.turn(self.name)
        history = self.worker.history
        chance = history.random.random() if history.is_faulty else 1.0
        if chance < 0.05:
            history.tell(f"{self.worker.name} {self.name}: redis is away")
            raise RetryableError("redis", "away")
        replies = super().run(calls)
        history.tell(f"{self.worker.name} {self.name}: redis answers" + (" too late" if chance < 0.1 else ""))
        self.worker.turn(f"{self.name} answered")
        if chance < 0.1:
            raise RetryableError("redis", "hung")
        return replies


class NoGarbage(AbstractContextManager["NoGarbage", None]):
    """Leaves Python's garbage collector alone: the loop's own care for it would cost more than the rest of a history."""

    def __exit__(self, *_: object) -> None: ...
    def after_batch(self) -> None: ...


class NoMetrics:
    """The loop's metrics, which no check reads."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None


class History:
    """The world of one seed. `run` plays it and raises BrokenHistoryError where a promise is broken."""

    loop_type: type[Loop[Any, Any]] = Loop

    def __init__(self, seed: int, client: Client) -> None:
        self.seed, self.client = seed, client
        self.prefix = f"sim{seed}:"
        self.random = random.Random(seed)
        self.clock, self.back, self.doing = SimulatedClock(), threading.Semaphore(0), dict[str, str]()
        self.lines: list[str] = []
        self.generation, self.brokers_away, self.is_faulty, self.step = 0, False, True, 0
        self.duplicates = self.random.random() < 0.5
        self.logs = {partition: self._records(partition) for partition in range(self.random.randint(1, 3))}
        self.committed_offsets = dict.fromkeys(self.logs, 0)
        self.places: list[Place] = []
        self.quota = Quota("q", limit=self.random.randint(5, 40), window_s=3_600, reason_code="full")
        self.workers: dict[str, Worker] = {}
        self.members = set[str]()
        """The consumer group. Who freezes is put out of it, and joins again at its next poll."""
        self.born = 0

    def _records(self, partition: int) -> list[Record]:
        records, offset = [], 0
        for _ in range(self.random.randint(5, 20)):
            offset += 1 if self.random.random() < 0.9 else 2  # a gap, as transaction markers leave
            kind = "poison" if self.random.random() < 0.05 else "event"
            body = f"{kind} {self.random.randint(1, 60)} {self.random.randint(1, 5)}".encode()
            records.append(Record(body, Form.JSON, "in", (partition, offset), START_S, Token("T", partition, offset)))
        return records

    def store(self, places: list[Place], ends: dict[int, int]) -> None:
        """The transaction: outputs and offsets become visible together."""
        self.places += places
        self.committed_offsets |= ends

    def tell(self, line: str) -> None:
        self.lines.append(f"{self.step:4} {line}")

    def run(self) -> None:
        try:
            for _ in range(self.random.randint(1, 3)):
                self._start()
            while not self._is_done():
                self.step += 1
                self.is_faulty = self.step < FAULTY_STEPS
                if self.step > MOST_STEPS:
                    self._break("stuck: " + str({name: worker.loop.why for name, worker in self.workers.items()}))
                self._inject()
                self._go_on()
            self._check()
        finally:
            for worker in list(self.workers.values()):
                self._kill(worker)

    def _is_done(self) -> bool:
        return all(self.committed_offsets[p] > log[-1].token.offset for p, log in self.logs.items())

    def _start(self) -> None:
        self.born += 1
        name = f"w{self.born}"
        self.workers[name] = Worker(self, name)
        self.members.add(name)
        self.generation += 1

    def _inject(self) -> None:
        chance = self.random.random()
        if not self.is_faulty:
            self.brokers_away = False
        elif chance < 0.02:
            worker = self.random.choice(list(self.workers.values()))
            self.tell(f"{worker.name} dies at {self.doing.get(worker.name, 'start')}")
            self._kill(worker)
            self._start()
        elif chance < 0.06:
            worker = self.random.choice(list(self.workers.values()))
            worker.frozen_until = self.step + self.random.randint(5, 60)
            self.members.discard(worker.name)
            self.generation += 1
            self.tell(f"{worker.name} freezes at {self.doing.get(worker.name, 'start')} until {worker.frozen_until}")
        elif chance < 0.08:
            self._start()
            self.tell(f"w{self.born} joins: generation {self.generation}")
        elif chance < 0.1:
            self.brokers_away = not self.brokers_away
            self.tell("brokers away" if self.brokers_away else "brokers back")

    def _go_on(self) -> None:
        awake = [worker for worker in self.workers.values() if worker.frozen_until <= self.step]
        self.clock.seconds += 0.1
        if awake:
            worker = self.random.choice(awake)
            self._resume(worker)
            if worker.failure is not None:
                self._break(f"{worker.name} ended: {worker.failure!r}")

    def _resume(self, worker: Worker) -> None:
        worker.may_run.release()
        self.back.acquire()

    def _kill(self, worker: Worker) -> None:
        del self.workers[worker.name]
        self.members.discard(worker.name)
        worker.is_doomed = True
        if worker.thread.is_alive() and worker.failure is None:
            self._resume(worker)
        self.generation += 1

    def _check(self) -> None:
        seen = Counter((place.partition, place.offset) for place in self.places)
        for token in (record.token for log in self.logs.values() for record in log):
            if seen[token.partition, token.offset] != 1:
                self._break(f"record {token.partition}/{token.offset} has {seen[token.partition, token.offset]} places")
        for partition in self.logs:
            offsets = [place.offset for place in self.places if place.partition == partition]
            if offsets != sorted(offsets):
                self._break(f"partition {partition} is out of order: {offsets}")
        events = [place for place in self.places if place.kind == "event"]
        good = [_event_id(r) for log in self.logs.values() for r in log if r.body.startswith(b"event")]
        wanted = min(self.quota.limit or 0, len(set(good)) if self.duplicates else len(good))
        if len(events) != wanted:
            self._break(f"{len(events)} events were accepted, a single thread accepts {wanted}")
        firsts = Counter(place.group for place in events if place.is_new)
        for group in {place.group for place in events}:
            if firsts[group] != 1:
                self._break(f"group {group} has {firsts[group]} first events")

    def _break(self, promise: str) -> None:
        shown = "\n".join(self.lines[-SHOWN_LINES:])
        raise BrokenHistoryError(
            f"seed {self.seed}: {promise}\n{shown}\nrun it again: SIMULATION_SEED={self.seed} pytest tests/simulation"
        )


def _event_id(record: Record) -> str:
    return f"{int(record.body.split()[1]):032x}"


def _group(record: Record) -> int:
    return int(record.body.split()[2])


def _sighting(record: Record) -> Sighting:
    group = _group(record)
    about = (record.token, SCOPE, DataCategory.ERROR, 1, _event_id(record), START_S, START_S)
    return Sighting(*about, group, (f"{group:032x}",), None, 90, [])
