"""The faults: what each kind of fault of a plan does to the world."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from simulation.broker_model import Message
from simulation.plan import VERSIONS, Fault, Input
from simulation.worker import Worker

from pipeline.kafka.batch import TOKEN_HEADER
from pipeline.kafka.dead_letters import LetterAddress, StoredLetter

if TYPE_CHECKING:
    from simulation.world import World

SESSION_S = 10.0
NOTICED_WITHIN_S = 12.0
GONE_S = 4.0
"""How long a topic is away that is made again. One that is replaced faster may be read for a second as if it were the old one."""
MOST_WORKERS = 4
MOST_PARTITIONS = 5


class Faults:
    """Lets faults befall a world. Those that have no method here wait for their victim: see `World.take_fault`."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._letters_replayed = 0
        self._strikes: list[list[Any]] = []
        """Kills and freezes that wait for a worker with a batch in hand, and for so many calls of such workers more."""

    def befall(self, fault: Fault) -> None:
        action = getattr(self, "_" + fault.kind.replace(" ", "_"), None)
        if fault.kind in {"kill", "freeze"} and fault.who % 3:
            self._strikes.append([fault.who % 13, fault])
        elif action is not None:
            action(fault)
        else:
            self._world.armed.append(fault)

    def strike(self, worker: Worker) -> None:
        """Let a kill or a freeze befall a worker amid its batch, if one waits for that."""
        if worker.doing == "polling" or not self._strikes:
            return
        strike = self._strikes[0]
        if strike[0]:
            strike[0] -= 1
            return
        _, fault = self._strikes.pop(0)
        (self._kill if fault.kind == "kill" else self._freeze)(fault, worker)

    def _victim(self, fault: Fault) -> Worker | None:
        alive = [worker for worker in self._world.workers if worker.frozen_until <= self._world.clock.seconds]
        return alive[fault.who % len(alive)] if alive else None

    def _kill(self, fault: Fault, worker: Worker | None = None) -> None:
        worker = worker or self._victim(fault)
        if worker is None:
            return
        self._world.tell(f"{worker.name} is killed while {worker.doing}; its slot starts again {fault.amount:.1f} s later")
        self._world.end(worker)
        self._world.later(SESSION_S, lambda: self._world.broker.leave(worker.name))
        if not worker.is_stopping:  # else it is to be started again anyway
            self._world.later(fault.amount, lambda: self._world.start(worker.slot, worker.life + 1))

    def _freeze(self, fault: Fault, worker: Worker | None = None) -> None:
        worker = worker or self._victim(fault)
        if worker is None:
            return
        worker.frozen_until = self._world.clock.seconds + fault.amount
        self._world.tell(f"{worker.name} freezes while {worker.doing}, for {fault.amount:.1f} s")
        if fault.amount > SESSION_S:
            self._world.later(SESSION_S, lambda: self._world.broker.leave(worker.name))
        self._world.later(fault.amount, lambda: None)

    def _stop(self, fault: Fault) -> None:
        worker = self._victim(fault)
        if worker is not None and worker.loop is not None and not worker.is_stopping:
            worker.is_stopping = True
            self._world.tell(f"{worker.name} is told to stop")
            worker.loop.stop()
            self._world.later(fault.amount + 1, lambda: self._world.start(worker.slot, worker.life + 1))

    def _join(self, _: Fault) -> None:
        slots = {worker.slot for worker in self._world.lives}
        if len(slots) < MOST_WORKERS:
            self._world.tell(f"w{len(slots) + 1} joins")
            self._world.start(f"w{len(slots) + 1}", 1)

    def _rebalance(self, _: Fault) -> None:
        self._world.broker.rebalance()
        self._world.tell(f"the group rebalances: generation {self._world.broker.generation}")

    def _broker_away(self, fault: Fault) -> None:
        self._world.broker.is_away = True
        self._world.tell(f"the broker is away for {fault.amount:.1f} s")
        self._world.later(fault.amount, self._broker_back)

    def _broker_back(self) -> None:
        self._world.broker.is_away = False
        self._world.tell("the broker is back")

    def _partitions_added(self, _: Fault) -> None:
        if len(self._world.broker.logs) < 5:
            self._world.broker.add_partition()
            self._world.tell(f"a partition is added: {len(self._world.broker.logs)} now")

    def _redis_away(self, fault: Fault) -> None:
        self._world.is_redis_away = True
        self._world.tell(f"redis is away for {fault.amount:.1f} s")
        self._world.later(fault.amount, self._redis_back)

    def _redis_back(self) -> None:
        self._world.is_redis_away = False
        self._world.tell("redis is back")

    def _redis_full(self, fault: Fault) -> None:
        self._world.store.set_full(True)
        self._world.tell(f"redis is full for {fault.amount:.1f} s")
        self._world.later(fault.amount, lambda: self._world.store.set_full(False))

    def _scripts_flushed(self, _: Fault) -> None:
        self._world.store.flush_scripts()
        self._world.tell("redis forgets its scripts")

    def _redis_emptied(self, _: Fault) -> None:
        self._lose("redis is emptied", self._world.store.flush)

    def _redis_loses_last_writes(self, fault: Fault) -> None:
        writes = 1 + fault.who % 8
        self._lose(f"redis fails over to a copy that lacks its last {writes} calls", lambda: self._world.store.lose_last(writes))

    def _redis_evicts(self, fault: Fault) -> None:
        keys = sorted(self._world.store.keys())
        chosen = random.Random(fault.who).sample(keys, min(len(keys), 1 + fault.who % 6))
        self._lose(f"redis evicts {chosen}", lambda: self._world.store.evict(chosen))
        self._world.evicted_before += [worker for worker in self._world.workers if worker.ends]

    def _lose(self, what: str, action: Callable[[], None]) -> None:
        before, ends_before = self._world.store.numbers(), self._world.store.ends()
        action()
        after, ends = self._world.store.numbers(), self._world.store.ends()
        lost = Counter({key: value - after.get(key, 0) for key, value in before.items() if value > after.get(key, 0)})
        self._world.destroyed += lost
        self._world.lost_ends |= {log: ends.get(log, 0) for log, end in ends_before.items() if ends.get(log, 0) < end}
        self._world.tell(f"{what}; counters lose {dict(lost)}")

    def _new_rules(self, fault: Fault) -> None:
        self._world.version = fault.who % VERSIONS
        self._world.tell(f"rules {self._world.version} come into force")

    def _retention(self, fault: Fault) -> None:
        partition = fault.who % len(self._world.broker.logs)
        log = self._world.broker.logs[partition]
        first = min(log.end, log.first + 1 + fault.who % 7)
        is_known = partition in self._world.broker.offsets
        self._gone(
            self._world.broker.drop(partition, first, log.end), "retention" if is_known else "retention before the first commit"
        )
        self._world.tell(f"retention deletes partition {partition} up to {first}")

    def _topic_made_again(self, fault: Fault) -> None:
        if self._world.broker.is_topic_gone:
            return
        lost = [message for log in self._world.broker.logs for message in log.messages.values()]
        self._gone(lost, "topic made again")
        partitions = len(self._world.broker.logs)
        self._world.broker.create(partitions)
        self._world.broker.is_topic_gone = True
        if fault.who % 2:
            self._world.broker.offsets.clear()
        self._world.tell("the topic is deleted" + (", and the group's offsets with it" if fault.who % 2 else ""))
        self._world.later(GONE_S, self._make_again)

    def _make_again(self) -> None:
        self._world.broker.create(len(self._world.broker.logs))
        self._world.tell("the topic is made again")

    def _log_loses_its_tail(self, fault: Fault) -> None:
        partition = fault.who % len(self._world.broker.logs)
        log = self._world.broker.logs[partition]
        end = max(log.first, log.end - 1 - fault.who % 5)
        self._gone(self._world.broker.drop(partition, log.first, end), "tail lost")
        log.closed_until = self._world.clock.seconds + NOTICED_WITHIN_S
        self._world.later(NOTICED_WITHIN_S, lambda: None)
        self._world.tell(f"partition {partition} loses its tail: it ends at {end} now")

    def _gone(self, messages: list[Message], why: str) -> None:
        self._world.gone |= {message.serial: why for message in messages}

    def _dead_letters_replayed(self, fault: Fault) -> None:
        """Do what `pipeline dead-letters replay` does: send the letters that were not replayed yet, with their first tokens."""
        letters = [(value, dict(headers)) for topic, _, value, headers in self._world.broker.committed if topic == "dead"]
        for value, headers in letters[self._letters_replayed :]:
            if not all(map(self._world.takes, range(len(self._world.broker.logs)))):
                return
            self._letters_replayed += 1
            letter = StoredLetter(LetterAddress(0, 0), value, headers, self._world.clock.seconds)
            replayed = letter.replayed()
            record = self._world.versions[0].inputs[int(value)]
            moved = Input(
                **{**record.__dict__, "partition": (record.partition + fault.who) % len(self._world.broker.logs), "gap": 0}
            )
            self._world.send(moved, replayed.headers)
            self._world.tell(
                f"the dead letter of record {record.uid} is replayed: {dict(replayed.headers)[TOKEN_HEADER].decode()}"
            )
