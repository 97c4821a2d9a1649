"""Where a worker's batches come from: a member of the consumer group that reads committed records.

Each trap of librdkafka is named where this file steps around it; tests/integration/test_kafka_source.py has one test each.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from pipeline.kafka.batch import NO_HEADERS, Headers, WorkerBatch, make_record
from pipeline.kafka.config import admin_config, consumer_config
from pipeline.kafka.errors import note_error
from pipeline.kafka.lag import Lag
from pipeline.kafka.topics import topic_id as find_topic_id
from pipeline.model.record import Position, Record, Token
from pipeline.settings.schema import BatchSettings, Settings

log = logging.getLogger(__name__)

TYPICAL_RECORD_BYTES = 20_000
"""The first guess; afterwards the last batch's average decides how many records are asked for at once."""
ASK_FOR_ENDS_S = 5.0


class KafkaSource:
    """The input topic as batches. Not thread-safe: one thread polls, and callbacks run in it.

    `on_revoke` is called with the partitions that were taken away, before they are given up.
    """

    def __init__(self, settings: Settings, on_revoke: Callable[[Sequence[int]], None] = lambda _: None) -> None:
        self._kafka = settings.kafka
        self._bounds: BatchSettings = settings.batch
        self._topic = settings.kafka.events_in
        self._admin = AdminClient(admin_config(settings.kafka))
        self._topic_id: str | None = None
        self._bases: dict[int, int | None] = {}
        """Owned partitions and their committed offset; None until the first record shows it."""
        self._membership: Any = None
        self._rebalances = 0
        self._paused = False
        self._average_bytes = TYPICAL_RECORD_BYTES
        self._on_revoke = on_revoke
        self._asked_ends: dict[int, Future[Any]] = {}
        """What an admin's request for the partitions' ends came to, or will."""
        self.lag = Lag()
        self.errors: list[str] = []
        """Names of the client's errors since somebody emptied the list."""
        config = consumer_config(settings.kafka, max_record_bytes=settings.input.max_record_bytes)
        self._consumer = Consumer(config | {"error_cb": lambda error: note_error(error, self.errors)})
        self._consumer.subscribe([self._topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost)

    @property
    def partitions(self) -> list[int]:
        """The partitions owned now."""
        return sorted(self._bases)

    @property
    def is_member(self) -> bool:
        """Whether the group knows us, with partitions or without."""
        return self._membership is not None

    def poll(self) -> WorkerBatch | None:
        """Collect a batch by count, bytes and time; None where nothing came, or where the group moved meanwhile.

        Raises KafkaException when the client cannot go on.
        """
        bounds, before = self._bounds, self._rebalances
        deadline = time.monotonic() + bounds.max_wait_ms / 1e3
        messages: list[Message] = []
        size = 0
        while len(messages) < bounds.max_records and size < bounds.max_bytes:
            wait_s = deadline - time.monotonic()
            if wait_s <= 0:
                break
            ask = min(bounds.max_records - len(messages), 1 + (bounds.max_bytes - size) // self._average_bytes)
            came = self._good(self._consumer.consume(ask, wait_s))
            messages += came
            size += sum(map(len, came))
        if self._rebalances != before or (messages and self._membership is None):
            # Some of what came may be of a partition that is no longer ours, or that was ours twice: read it all again.
            self.rewind()
            return None
        if not messages:
            return None
        self._average_bytes = max(1, size // len(messages))
        if self._topic_id is None:
            try:
                self._topic_id = find_topic_id(self._admin, self._topic)
            except KafkaException as error:
                note_error(error.args[0], self.errors)
                self.rewind()
                return None
        return self._batch(messages, self._topic_id)

    def wait(self, seconds: float) -> bool:
        """Hold all partitions still while polling goes on, so that the group keeps us; false where it moved meanwhile."""
        before = self._rebalances
        self._pause()
        passed = self._good(self._consumer.consume(1, seconds))  # what was on its way when we paused: it is read again
        if self._rebalances == before and not passed:
            return True
        self.rewind()
        return False

    def resume(self) -> None:
        """Let records come again after `wait`."""
        self._paused = False
        if self._bases:
            self._consumer.resume(self._owned())

    def committed(self, ends: Mapping[int, int]) -> None:
        """Take note of what a confirmed commit has moved."""
        for partition, end in ends.items():
            if partition in self._bases:
                self._bases[partition] = end
        self.lag.committed(ends)

    def rewind(self) -> None:
        """Read every partition again from what is committed: an aborted transaction does not do that by itself.

        Taken off and put on again without an offset, the client asks the group's coordinator, and waits there for an open
        transaction of a former owner.
        """
        if not self._bases:
            return
        owned = self._owned()
        self._consumer.incremental_unassign(owned)
        self._consumer.incremental_assign(owned)
        self._bases = dict.fromkeys(self._bases)
        if self._paused:
            self._pause()

    def passed(self) -> tuple[dict[int, int], Any]:
        """Give partitions whose position has moved past the last commit (transaction markers), and our membership."""
        if self._paused or self._membership is None:
            return {}, None
        moved = {}
        for place in self._consumer.position(
            [TopicPartition(self._topic, p) for p, base in self._bases.items() if base is not None]
        ):
            base = self._bases[place.partition]
            if base is not None and place.offset > base:
                moved[place.partition] = place.offset
        return moved, self._membership

    def watch_lag(self) -> None:
        """Take the ends of the partitions: the last fetches told them. While nothing is fetched, ask, and do not wait for it."""
        if self._paused:
            self._ask_for_ends()
            return
        ends = {}
        for place in self._owned():
            _, high = self._consumer.get_watermark_offsets(place, cached=True)
            ends[place.partition] = high
        self.lag.saw_ends(ends)

    def _ask_for_ends(self) -> None:
        """Take what came of the last request, and send the next."""
        if not all(end.done() for end in self._asked_ends.values()):
            return
        self.lag.saw_ends({p: end.result().offset for p, end in self._asked_ends.items() if end.exception() is None})
        self._asked_ends = {}
        if self._bases:
            latest = {place: OffsetSpec.latest() for place in self._owned()}
            committed_only = IsolationLevel.READ_COMMITTED
            asked = self._admin.list_offsets(latest, isolation_level=committed_only, request_timeout=ASK_FOR_ENDS_S)
            self._asked_ends = {place.partition: end for place, end in asked.items()}

    def close(self) -> None:
        """Leave the group, so that others take over at once. Static members say nothing: that is their point."""
        self._consumer.close()

    def _batch(self, messages: Sequence[Message], topic_id: str) -> WorkerBatch:
        records: list[Record] = []
        headers: dict[Position, Headers] = {}
        first: dict[int, Message] = {}
        last: dict[int, Message] = {}
        for message in messages:
            partition, offset = message.partition(), message.offset()
            first.setdefault(partition, message)
            last[partition] = message
            sent = _headers(message)
            own = NO_HEADERS
            if sent:
                own = headers[partition, offset] = {name: value for name, value in sent if value is not None}
            token = Token(topic_id, partition, offset)
            records.append(make_record(message.value() or b"", self._topic, token, _arrived(message), own))
        for message in (*first.values(), *last.values()):
            self.lag.read(message.partition(), message.offset(), _arrived(message))
        for partition, message in first.items():
            if self._bases[partition] is None:
                self._bases[partition] = message.offset()
        ends = {partition: message.offset() + 1 for partition, message in last.items()}
        # The position, not the last offset + 1: behind transaction markers the latter would leave a lag of 1 for ever.
        for place in self._consumer.position([TopicPartition(self._topic, partition) for partition in ends]):
            ends[place.partition] = max(place.offset, ends[place.partition])
        bases = {partition: base for partition in ends if (base := self._bases[partition]) is not None}
        return WorkerBatch(records, headers, bases, ends, topic_id, self._membership)

    def _good(self, messages: Iterable[Message]) -> list[Message]:
        """Take the errors out of what was polled. Raises KafkaException for one that ends the client."""
        good = []
        for message in messages:
            error = message.error()
            if error is None:
                if message.partition() in self._bases:
                    good.append(message)
            elif error.fatal() or error.code() == KafkaError._FATAL:  # noqa: SLF001 -- such a message does not say that it is fatal
                raise KafkaException(error)
            else:
                note_error(error, self.errors)
        return good

    def _owned(self) -> list[TopicPartition]:
        return [TopicPartition(self._topic, partition) for partition in self._bases]

    def _pause(self) -> None:
        self._paused = True
        if self._bases:
            self._consumer.pause(self._owned())

    def _assigned(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        """Take partitions on. Called for every new generation of the group, with an empty list too."""
        self._rebalances += 1
        consumer.incremental_assign(places)
        self._bases |= dict.fromkeys(place.partition for place in places)
        self._topic_id = None
        # Taken here and nowhere later: metadata that is fresh when a batch is committed would let a worker commit
        # a partition that it has lost. Without a member id (lost again already) the broker would not check it at all.
        membership = consumer.consumer_group_metadata()
        self._membership = membership if consumer.memberid() else None
        if places:
            # `pause` survives a revoke and the next assign.
            (consumer.pause if self._paused else consumer.resume)(places)
        log.info("partitions assigned", extra={"assigned": [p.partition for p in places], "owned": self.partitions})

    def _revoked(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        self._rebalances += 1
        gone = [place.partition for place in places]
        self._on_revoke(gone)
        for partition in gone:
            self._bases.pop(partition, None)
        self.lag.forget(gone)
        consumer.incremental_unassign(places)
        log.info("partitions revoked", extra={"revoked": gone, "owned": self.partitions})

    def _lost(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        """Take note that the group went on without us: what we hold is somebody else's."""
        self._membership = None
        log.warning("partitions lost: this worker was silent for too long")
        self._revoked(consumer, places)


def _headers(message: Message) -> Sequence[tuple[str, bytes | None]]:
    """Give the headers; none where a name is no UTF-8: the client cannot read it, nor the others then. It is none of ours."""
    try:
        return message.headers() or ()
    except (SystemError, UnicodeDecodeError):
        log.warning("headers that cannot be read", extra={"partition": message.partition(), "offset": message.offset()})
        return ()


def _arrived(message: Message) -> float:
    """Give the arrival in epoch seconds."""
    milliseconds: int = message.timestamp()[1]
    return milliseconds / 1e3
