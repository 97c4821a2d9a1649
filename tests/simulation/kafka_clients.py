"""Stand-ins for the clients of `confluent_kafka`, on the broker's model. Each call is a point where the worker may freeze or die.

`pipeline.kafka` runs on them unchanged: what it does about rebalances, rewinds, fences and broken logs is what is tested.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec
from simulation.broker_model import TOPIC, Broker, Message, Transaction

NO_OFFSET = -1001
ASK_AGAIN_S = 0.2


class Process(Protocol):
    """What a client needs of the worker that it belongs to."""

    name: str

    @property
    def broker(self) -> Broker: ...
    def turn(self, what: str) -> None: ...
    def sleep(self, seconds: float, what: str) -> None: ...
    def now(self) -> float: ...
    def tell(self, what: str) -> None: ...
    def draw(self, most: int) -> int: ...
    def take_fault(self, *kinds: str) -> float | None: ...
    def later(self, seconds: float, action: Callable[[], None]) -> None: ...


class Current:
    """The worker that runs now, for clients that are being built."""

    process: Process


def error(code: int, text: str, *, fatal: bool = False, retriable: bool = False) -> KafkaException:
    return KafkaException(KafkaError(code, text, fatal, retriable))


class Consumer:
    """A member of the group. It joins, and learns of new generations, when it is polled."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._process = Current.process
        self._broker = self._process.broker
        self._on_error: Callable[[KafkaError], None] = config["error_cb"]
        self.member = self._process.name
        self._is_in_group = False
        self._generation = -1
        self._positions: dict[int, int | None] = {}
        self._paused: set[int] = set()
        self._has_told_of_outage = False
        self._callbacks: dict[str, Callable[..., None]] = {}

    def subscribe(self, _: list[str], **callbacks: Callable[..., None]) -> None:
        self._callbacks = callbacks

    def consume(self, most: int, timeout: float) -> list[Message]:
        self._process.turn("polling")
        broker = self._broker
        if broker.is_away:
            if not self._has_told_of_outage:
                self._has_told_of_outage = True
                self._on_error(KafkaError(KafkaError._ALL_BROKERS_DOWN, "all brokers are down"))
            self._process.sleep(timeout, "polling")
            return []
        self._has_told_of_outage = False
        if self.member not in broker.members or self._generation != broker.generation:
            self._rejoin()
            return []
        left = min(most, 1 + self._process.draw(6))
        messages: list[Message] = []
        for partition in list(self._positions):
            if partition not in self._paused and left > len(messages):
                messages += self._fetch(partition, left - len(messages))
        if not messages:
            self._process.sleep(timeout, "polling")
        return messages

    def _rejoin(self) -> None:
        broker = self._broker
        if self.member not in broker.members:
            if self._is_in_group:
                self._is_in_group = False
                self._process.tell("was put out of the group")
                self._callbacks["on_lost"](self, self._places(self._positions))
            broker.join(self.member)
            self._is_in_group = True
        target = {partition for partition, member in broker.target.items() if member == self.member}
        gone = [partition for partition in self._positions if partition not in target]
        if gone:
            self._callbacks["on_revoke"](self, self._places(gone))
            broker.release(self.member, gone)
            target = {partition for partition, member in broker.target.items() if member == self.member}
        fresh = sorted(p for p in target if p not in broker.owners)
        broker.owners |= dict.fromkeys(fresh, self.member)
        self._generation = broker.generation
        self._callbacks["on_assign"](self, self._places(fresh))
        self._process.tell(f"is a member of generation {self._generation} with partitions {sorted(self._positions)}")

    def _fetch(self, partition: int, most: int) -> list[Message]:
        if self._broker.is_topic_gone:
            return []
        log = self._broker.logs[partition]
        position = self._positions[partition]
        if position is None:
            if self._broker.is_unstable(partition):
                return []
            position = self._broker.offsets.get(partition, (log.first, ""))[0]
        if not log.first <= position <= log.end:
            position = log.first
        messages: list[Message] = []
        while position < log.end:
            if position in log.messages:
                if len(messages) >= most:
                    break
                messages.append(log.messages[position])
            position += 1
        self._positions[partition] = position
        return messages

    def incremental_assign(self, places: list[TopicPartition]) -> None:
        for place in places:
            self._positions[place.partition] = place.offset if place.offset >= 0 else None
            self._paused.discard(place.partition)

    def incremental_unassign(self, places: list[TopicPartition]) -> None:
        for place in places:
            self._positions.pop(place.partition, None)

    def pause(self, places: list[TopicPartition]) -> None:
        self._paused.update(place.partition for place in places)

    def resume(self, places: list[TopicPartition]) -> None:
        self._paused.difference_update(place.partition for place in places)

    def position(self, places: list[TopicPartition]) -> list[TopicPartition]:
        positions = ((place.partition, self._positions.get(place.partition)) for place in places)
        return [TopicPartition(TOPIC, partition, NO_OFFSET if at is None else at) for partition, at in positions]

    def committed(self, places: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        self._process.turn("asking for committed offsets")
        give_up = self._process.now() + timeout
        while self._broker.is_away or any(self._broker.is_unstable(place.partition) for place in places):
            if self._process.now() >= give_up:
                raise error(KafkaError._TIMED_OUT, "timed out")
            self._process.sleep(ASK_AGAIN_S, "asking for committed offsets")
        found = ((place.partition, self._broker.offsets.get(place.partition, (NO_OFFSET, ""))) for place in places)
        return [TopicPartition(TOPIC, partition, offset, metadata) for partition, (offset, metadata) in found]

    def commit(self, offsets: list[TopicPartition], asynchronous: bool) -> None:
        assert not asynchronous
        self._process.turn("marking offsets")
        if self._broker.is_away or self._broker.is_topic_gone:
            raise error(KafkaError._TIMED_OUT, "timed out")
        if not self._broker.is_member(self.member, self._generation):
            raise error(KafkaError.ILLEGAL_GENERATION, "another generation")
        self._broker.offsets |= {place.partition: (place.offset, place.metadata or "") for place in offsets}
        self._process.tell(f"marks {[(place.partition, place.offset, place.metadata) for place in offsets]}")

    def consumer_group_metadata(self) -> tuple[str, int]:
        return self.member if self._is_in_group else "", self._generation

    def memberid(self) -> str:
        return self.member if self._is_in_group else ""

    def list_topics(self, _: str, timeout: float) -> None:
        if self._broker.is_away:
            self._process.sleep(timeout, "asking whether a broker is there")
            raise error(KafkaError._TRANSPORT, "no broker")

    def close(self) -> None:
        self._process.turn("leaving")
        self._broker.leave(self.member)

    def _places(self, partitions: Iterable[int]) -> list[TopicPartition]:
        return [TopicPartition(TOPIC, partition) for partition in partitions]


class AdminClient:
    """Answers about the topic."""

    def __init__(self, _: dict[str, Any]) -> None:
        self._process = Current.process

    def describe_topics(self, _: Any, request_timeout: float) -> dict[str, Any]:
        return {TOPIC: self._answer(SimpleNamespace(topic_id=self._process.broker.topic_id), request_timeout)}

    def list_offsets(self, wanted: dict[TopicPartition, OffsetSpec], request_timeout: float) -> dict[TopicPartition, Any]:
        logs = self._process.broker.logs
        return {
            place: self._answer(
                SimpleNamespace(
                    offset=logs[place.partition].first if spec is OffsetSpec.earliest() else logs[place.partition].end
                ),
                request_timeout,
            )
            for place, spec in wanted.items()
        }

    def list_consumer_group_offsets(self, groups: list[Any], request_timeout: float) -> dict[str, Any]:
        offsets = self._process.broker.offsets
        found = [
            TopicPartition(TOPIC, place.partition, *offsets.get(place.partition, (NO_OFFSET, "")))
            for place in groups[0].topic_partitions
        ]
        return {groups[0].group_id: self._answer(SimpleNamespace(topic_partitions=found), request_timeout)}

    def _answer(self, value: Any, within_s: float) -> Answer:
        failure = None
        if self._process.broker.is_away:
            failure = error(KafkaError._TIMED_OUT, "timed out")
        elif self._process.broker.is_topic_gone:
            failure = error(KafkaError.UNKNOWN_TOPIC_OR_PART, "no such topic")
        return Answer(self._process, value, failure, within_s)


class Answer:
    """A future that is done at once."""

    def __init__(self, process: Process, value: Any, failure: KafkaException | None, within_s: float) -> None:
        self._process, self._value, self._failure, self._within_s = process, value, failure, within_s

    def done(self) -> bool:
        return True

    def exception(self) -> KafkaException | None:
        return self._failure

    def result(self) -> Any:
        self._process.turn("reading an answer about the topic")
        if self._failure is not None:
            if self._failure.args[0].code() == KafkaError._TIMED_OUT:
                self._process.sleep(self._within_s, "waiting for an answer about the topic")
            raise self._failure
        return self._value


class Producer:
    """A transactional producer."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._process = Current.process
        self._broker = self._process.broker
        self._id = str(config["transactional.id"])
        self._epoch = 0
        self._outputs: list[Any] = []
        self._is_unknown = False
        """Whether the answer to a commit did not come: the client can do nothing with the transaction any more."""

    def init_transactions(self, timeout: float) -> None:
        self._process.turn("registering its transactional id")
        give_up = self._process.now() + timeout
        while self._broker.is_away or self._broker.transactions.get(self._id, Transaction()).is_committing:
            if self._process.now() >= give_up:
                raise error(KafkaError._TIMED_OUT, "timed out", retriable=True)
            self._process.sleep(ASK_AGAIN_S, "registering its transactional id")
        self._epoch = self._broker.register(self._id)

    def begin_transaction(self) -> None:
        self._outputs, self._is_unknown = [], False

    def produce(self, topic: str, value: Any, key: bytes | None, headers: list[tuple[str, bytes]]) -> None:
        self._outputs.append((topic, key, value, headers))

    def poll(self, _: float) -> int:
        return 0

    def send_offsets_to_transaction(self, offsets: list[TopicPartition], membership: tuple[str, int], _: float) -> None:
        self._process.turn("sending offsets")
        self._check_broker()
        if self._broker.is_topic_gone:
            raise error(KafkaError.UNKNOWN_TOPIC_OR_PART, "no such topic")
        if not self._broker.is_member(*membership):
            raise error(KafkaError.ILLEGAL_GENERATION, "another generation of the group has begun")
        transaction = self._broker.transactions[self._id]
        transaction.is_open, transaction.began = True, self._process.now()
        transaction.offsets |= {place.partition: (place.offset, place.metadata or "") for place in offsets}

    def commit_transaction(self, _: float) -> None:
        self._process.turn("committing")
        self._check_broker()
        broker, transaction = self._broker, self._broker.transactions[self._id]
        transaction.outputs = self._outputs
        what = ", ".join(f"partition {partition} to {end}" for partition, (end, _) in transaction.offsets.items())
        late = self._process.take_fault("commit late")
        if late is not None:
            self._process.tell(f"commits {what}; no answer comes, and the broker does it {late:.0f} s later")
            transaction.is_committing = self._is_unknown = True
            self._process.later(late, lambda: broker.commit(transaction))
            raise error(KafkaError._TIMED_OUT, "no answer to the commit")
        broker.commit(transaction)
        if self._process.take_fault("commit unanswered") is not None:
            self._process.tell(f"commits {what}, and the answer is lost")
            self._is_unknown = True
            raise error(KafkaError._TIMED_OUT, "no answer to the commit")
        self._process.tell(f"commits {what}")
        self._process.turn("having committed")

    def abort_transaction(self, _: float) -> None:
        self._process.turn("aborting")
        self._check_broker()
        if self._is_unknown:
            raise error(KafkaError._STATE, "the transaction is being committed")
        self._broker.abort(self._broker.transactions[self._id])

    def purge(self) -> None: ...

    def close(self) -> None: ...

    def _check_broker(self) -> None:
        if self._broker.is_away:
            self._process.sleep(1.0, "waiting for the broker")
            raise error(KafkaError._TRANSPORT, "no broker", retriable=True)
        if self._epoch != self._broker.transactions[self._id].epoch:
            raise error(KafkaError._FENCED, "fenced by a newer life of this transactional id", fatal=True)
