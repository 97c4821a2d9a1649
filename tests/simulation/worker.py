"""A worker of a history: a greenlet that runs the real loop, and gives the turn back at each call of a client."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import msgpack
import redis
from greenlet import greenlet
from simulation import kafka_clients
from simulation.work import Work

from pipeline.kafka.config import transactional_id
from pipeline.kafka.producer import TransactionalProducer
from pipeline.quotas.redis_ledger import RedisLedger
from pipeline.runtimes.clock import Clock
from pipeline.runtimes.dead_letter_limit import DeadLetterLimit
from pipeline.runtimes.loop import Loop
from pipeline.settings.schema import BatchSettings, DeadLetterSettings, KafkaSettings, Settings
from pipeline.wiring.worker import input_consumer

if TYPE_CHECKING:
    from simulation.world import World

START_S = 4_000_000_000.0
"""So late that a real Redis, whose clock is the machine's, lets no key expire during a history."""
REDIS_TIMEOUT_S = 2.0


class DiedError(SystemExit):
    """The worker is dead: no handler for errors may catch this."""


class WorldClock(Clock):
    """A clock that moves when the scheduler does. It stands in for the `time` module too."""

    seconds = START_S

    def now(self) -> float:
        return self.seconds

    def time(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        process: Any = kafka_clients.Current.process
        process.sleep(seconds, "sleeping")


class Worker:
    """A process: one life of a slot."""

    def __init__(self, world: World, slot: str, life: int) -> None:
        self.world, self.slot, self.life = world, slot, life
        self.name = f"{slot}.{life}"
        self.broker = world.broker
        self.is_dead, self.frozen_until, self.wake_at, self.doing = False, 0.0, 0.0, "starting"
        self.is_stopping = False
        self.failure: BaseException | None = None
        self.ledger: RedisLedger | None = None
        self.loop: Loop[Any, Any] | None = None
        self.ends: dict[str, int] = {}
        """Where its last calls of Redis ended, by ledger. The worker knows nothing else of them either."""
        self.greenlet = greenlet(self._live)

    def _live(self) -> None:
        try:
            self.loop = self._build()
            self.loop.run()
        except DiedError:
            pass
        except Exception as error:  # noqa: BLE001 -- reported by the scheduler
            self.failure = error

    def _build(self) -> Loop[Any, Any]:
        world, plan = self.world, self.world.plan
        kafka = KafkaSettings(slot=self.slot, events_in="in")
        settings = Settings(kafka=kafka, batch=BatchSettings(max_records=6, max_wait_ms=200))
        client: Any = RedisClient(self)
        self.ledger = world.ledger_type(client, prefix=world.store.prefix, duplicates=plan.duplicates, remember_s=plan.remember_s)
        metrics: Any = Metrics(world)
        work = Work(self.ledger, world.clock, world.versions, lambda: world.version)
        source = input_consumer(settings, metrics, self.ledger)
        sink = TransactionalProducer(kafka, transactional_id(kafka, "group"), metrics.kafka_error)
        limit = DeadLetterLimit(DeadLetterSettings(max_ratio=1.0))
        untyped: Any = work
        loop = world.loop_type(source, untyped, sink, metrics, limit, chores=[self.ledger.look_for_losses], clock=world.clock)
        loop._garbage = NoGarbage()  # type: ignore[assignment]
        return loop

    def turn(self, what: str) -> None:
        """Let the scheduler choose who goes on. Raises DiedError if this worker is dead."""
        if self.is_dead:
            raise DiedError
        self.doing = what
        self.world.scheduler.switch()
        if self.is_dead:
            raise DiedError

    def sleep(self, seconds: float, what: str) -> None:
        self.wake_at = self.world.clock.seconds + seconds
        self.turn(what)

    def now(self) -> float:
        return self.world.clock.seconds

    def tell(self, what: str) -> None:
        self.world.tell(f"{self.name} {what}")

    def draw(self, most: int) -> int:
        return self.world.draw(most)

    def take_fault(self, *kinds: str) -> float | None:
        return self.world.take_fault(*kinds)

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        self.world.later(seconds, action)


class RedisClient:
    """A worker's client of Redis. A call may find no server, or get no answer: then it has an effect, at once or later."""

    def __init__(self, worker: Worker) -> None:
        self._worker, self._world, self._store = worker, worker.world, worker.world.store

    def evalsha(self, *arguments: Any) -> Any:
        return self._script(self._store.client.evalsha, arguments)

    def eval(self, *arguments: Any) -> Any:
        return self._script(self._store.client.eval, arguments)

    def _script(self, call: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        worker, world = self._worker, self._world
        worker.turn("calling redis")
        self._reach()
        late = world.take_fault("redis late")
        if late is not None:
            worker.tell(f"calls redis; no answer comes, and the call arrives {late:.1f} s later")
            world.later(late, lambda: self._arrive(call, arguments))
            worker.sleep(REDIS_TIMEOUT_S, "waiting for redis")
            raise redis.TimeoutError("no answer")
        self._store.keep_copies()
        answer = call(*arguments)
        if world.take_fault("redis unanswered") is not None:
            world.hide_losses(_ends(arguments[3]))
            worker.tell("calls redis; the call has its effect, and no answer comes")
            worker.sleep(REDIS_TIMEOUT_S, "waiting for redis")
            raise redis.TimeoutError("no answer")
        worker.tell("calls redis" + (": stale" if answer == b"STALE" else ""))
        shows_loss = answer != b"STALE" and world.called(worker, _ends(arguments[3]))
        worker.turn("having redis's answer")
        world.must_report = world.must_report or shows_loss
        return answer

    def _arrive(self, call: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        try:
            answer = call(*arguments)
        except redis.RedisError as error:
            self._world.tell(f"the late call of {self._worker.name} arrives: {error}")
        else:
            self._world.hide_losses(_ends(arguments[3]))
            self._world.tell(f"the late call of {self._worker.name} arrives" + (": stale" if answer == b"STALE" else ""))

    def _reach(self) -> None:
        if self._world.is_redis_away:
            self._worker.sleep(0.1, "waiting for redis")
            raise redis.ConnectionError("connection refused")

    def ping(self) -> bool:
        self._worker.turn("asking whether redis is there")
        self._reach()
        return True

    def set(self, *arguments: Any, **options: Any) -> Any:
        self._worker.turn("noting a loss")
        self._reach()
        return self._store.client.set(*arguments, **options)

    def info(self) -> Any:
        self._reach()
        return self._store.info()

    def config_get(self, _: str) -> dict[str, str]:
        return {"appendfsync": "always"}


def _ends(options: bytes) -> dict[str, int]:
    """Return where a call ends, by the ledgers that it names."""
    *_, settings, sections = msgpack.unpackb(options)
    kind = "admit" if settings else "count"
    return {f"{kind}:{part[0]}": part[2] for section in sections for part in section[1] if len(part) == 3}


class NoGarbage(AbstractContextManager["NoGarbage", None]):
    """Leaves Python's garbage collector alone: the loop's own care for it would cost more than the rest of a history."""

    def __exit__(self, *_: object) -> None: ...
    def after_batch(self) -> None: ...


class Metrics:
    """The metrics of all workers. Only breaks of the input are read."""

    def __init__(self, world: World) -> None:
        self._world = world

    def __getattr__(self, _: str) -> Callable[..., None]:
        return lambda *_: None

    def input_break(self, kind: str, lost: int) -> None:
        self._world.breaks[kind] += 1
        self._world.reported_lost += lost
        self._world.tell(f"a worker reports: {kind}, {lost} records lost")
