"""The consumer: reads a topic as batches, as a member of a consumer group. It sees committed records only.

Comments name each trap of librdkafka that the code avoids. tests/integration/test_kafka_consumer.py has a test for each.

This file is long because a rebalance, a rewind and a break of the log change the same state of the same partitions.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from pipeline.kafka.batch import NO_HEADERS, Headers, KafkaBatch, KafkaPositions, make_record
from pipeline.kafka.config import consumer_config
from pipeline.kafka.errors import note_error
from pipeline.kafka.start import Break, Glance, TopicHistory, encode_log_name
from pipeline.model.errors import CommitError
from pipeline.model.record import Form, Position, Record, Token
from pipeline.settings.schema import BatchSettings, KafkaSettings

log = logging.getLogger(__name__)

TYPICAL_RECORD_BYTES = 20_000
"""First guess of a record's size. Later the last batch's average decides how many records are requested at once."""
ANSWER_WITHIN_S = 0.2
REDO_WITHIN_S = 20.0
REDO_POLL_S = 0.1
BROKERS_AWAY = "kafka: no broker can be reached"
BROKERS_BACK = "kafka: a broker answers again, but not yet to the consumer group"
JOINING = "kafka: joining the consumer group"
WITHOUT_PARTITIONS = "kafka: the consumer group has given this worker no partitions yet"


class KafkaConsumer:
    """One topic as batches, read as a member of a consumer group. Not thread-safe: one thread polls, and callbacks run in it.

    `form` is the form of the topic's records. `on_revoke` is called with partitions that are taken away, before they are given
    up. `on_error` is called with the name of each error after which the client goes on, and `on_break` with the name of a `Break`
    and the number of records that are lost. `client_id` is what the broker shows of this member. `guard` is called before it
    joins the group, and raises CommitError while it must not.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        topic: str,
        group: str,
        bounds: BatchSettings,
        *,
        max_record_bytes: int,
        form: Form = Form.MSGPACK,
        on_revoke: Callable[[Sequence[int]], None] = lambda _: None,
        on_error: Callable[[str], None] = lambda _: None,
        on_break: Callable[[str, int], None] = lambda _, __: None,
        client_id: str = "",
        guard: Callable[[], None] = lambda: None,
    ) -> None:
        self._bounds = bounds
        self._topic = topic
        self._form = form
        self._history = TopicHistory(kafka, topic, group)
        self._bases: dict[int, int | None] = {}
        """Owned partitions and their committed offsets. An offset is None until the first record comes and `_take_on` asks for
        it."""
        self._logs: dict[int, str] = {}
        """Log names of the owned partitions that `_take_on` has handled."""
        self._next: dict[int, int] = {}
        """The offset to be read next in each partition that was taken on."""
        self._gaps: list[tuple[int, int, int]] = []
        """Partition, start and end of offsets without a record: there were transaction markers, or records that are gone."""
        self._told: dict[int, int] = {}
        """The offset of each partition up to which lost records were reported."""
        self._membership: Any = None
        self._redo_to: dict[int, int] = {}
        """Ends of batches that were being written when their reader was interrupted, by partition."""
        self._is_alone = False
        """Whether only one partition is read, to write such a batch again."""
        self._rebalances = 0
        self._paused = False
        self._average_bytes = TYPICAL_RECORD_BYTES
        self._on_revoke = on_revoke
        self._on_error = on_error
        self._on_break = on_break
        self._brokers_away = True
        self._answered_at: float | None = None
        """When a broker answered for the first time since all were away; None while they are."""
        self._settles_in_s = kafka.session_timeout_s
        self._without_partitions_since = time.monotonic()
        config = consumer_config(kafka, group, max_record_bytes=max_record_bytes)
        if client_id:
            config["client.id"] = client_id
        self._consumer = Consumer(config | {"error_cb": self._note})
        self._guard = guard
        self._has_joined = False
        self._is_closing = False
        self._kept_out = ""
        """Why it has not joined the group yet."""

    @property
    def partitions(self) -> list[int]:
        """The partitions owned now."""
        return sorted(self._bases)

    def unready(self) -> str:
        """Return why no batch can come at the moment, or "" if one can.

        Brokers that went away count as away until something has succeeded: the group has assigned partitions, a batch was
        committed, or the group has kept this member for its session's time-out. A member without partitions is ready if the
        group has left it without any for as long: then there are more members than partitions.
        """
        if self._brokers_away and self._answered_at is None:
            if not self._has_broker_answered():
                return BROKERS_AWAY
            self._answered_at = time.monotonic()
        if self._membership is None:
            return self._kept_out or JOINING
        if self._answered_at is not None and self._brokers_away:
            if time.monotonic() - self._answered_at < self._settles_in_s:
                return BROKERS_BACK
            self._brokers_away = False
        if not self._bases and time.monotonic() - self._without_partitions_since < self._settles_in_s:
            return WITHOUT_PARTITIONS
        return ""

    def poll(self) -> KafkaBatch | None:
        """Collect a batch by count, bytes and time. None if nothing came, or if the group was rebalanced meanwhile.

        Raises KafkaException if the client cannot go on.
        """
        if not self._has_joined:
            self._join()
        if self._is_alone:
            self.rewind()
        if self._bases and self._has_log_broken():
            return None
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
        if self._rebalances != before or (messages and self._membership is None) or goes_back(messages):
            # Some records may be of a partition that was lost, or lost and assigned again, or whose log lost its end
            # meanwhile, so that the client began anew: read all of them again.
            self.rewind()
            return None
        if not messages:
            return None
        self._average_bytes = max(1, size // len(messages))
        unknown = {message.partition() for message in messages if self._is_unknown(message)}
        if unknown:
            moved = self._take_on(unknown)
            if moved is None:
                self.rewind()
                return None
            for partition in {message.partition() for message in messages if self._is_unknown(message)} - moved:
                # The client was sent back by the broker, and the log has grown past the committed offset since.
                self._read_from(partition, self._bases[partition] or 0)
                moved.add(partition)
            messages = [message for message in messages if message.partition() not in moved]
        if self._redo_to:
            return self._redo(*self._redo_to.popitem())
        return self._batch(messages) if messages else None

    def wait(self, seconds: float) -> bool:
        """Pause all partitions and go on polling, so that the group keeps this member.

        Return False if the batch at hand must be dropped: there was a rebalance, or records came that were under way.
        """
        before = self._rebalances
        self._pause()
        passed = self._good(self._consumer.consume(1, seconds))  # records that were under way when we paused: they are read again
        if self._rebalances == before and not passed:
            return True
        self.rewind()
        return False

    def resume(self) -> None:
        """Resume all partitions after `wait`."""
        self._paused = False
        if self._bases:
            self._consumer.resume(self._owned())

    def committed(self, positions: KafkaPositions) -> None:
        """Take note of the offsets of a confirmed commit."""
        self._brokers_away = False
        for partition, end in positions.ends.items():
            if partition in self._bases:
                self._bases[partition] = end

    def rewind(self) -> None:
        """Read every partition again from its committed offset. An aborted transaction does not do that by itself.

        Partitions are unassigned and assigned again without an offset. The client then asks the group's coordinator, which
        waits for the end of a former owner's open transaction.
        """
        if not self._bases:
            return
        owned = self._owned()
        self._consumer.incremental_unassign(owned)
        self._consumer.incremental_assign(owned)
        self._bases = dict.fromkeys(self._bases)
        self._redo_to.clear()
        if self._is_alone:
            self._is_alone = False
            self._consumer.resume(owned)
        self._next.clear()
        if self._paused:
            self._pause()

    def skipped(self) -> KafkaPositions | None:
        """Return the partitions whose position has moved past the last commit without a record: transaction markers."""
        if self._paused or self._is_alone or self._membership is None:
            return None
        known = [TopicPartition(self._topic, partition) for partition, base in self._bases.items() if base is not None]
        moved = {}
        for place in self._consumer.position(known):
            base = self._bases[place.partition]
            if base is not None and place.offset > base:
                moved[place.partition] = place.offset
        metadata = {partition: encode_log_name(self._logs[partition]) for partition in moved}
        return KafkaPositions(self._topic, moved, self._membership, metadata) if moved else None

    def commit(self, ends: Mapping[int, int], metadata: Mapping[int, str]) -> None:
        """Commit offsets outside a transaction, and wait for the answer. Raises CommitError if nobody can say that they hold.

        Without a member id (the group has gone on without this member) the broker would not check whose offsets these are.
        """
        if not ends.keys() <= self._bases.keys() or self._membership is None or not self._consumer.memberid():
            raise CommitError("kafka: the group has gone on without this member")
        places = [TopicPartition(self._topic, partition, end, metadata[partition]) for partition, end in sorted(ends.items())]
        try:
            failed = [
                place.error for place in self._consumer.commit(offsets=places, asynchronous=False) if place.error is not None
            ]
        except KafkaException as error:
            failed = [error.args[0]]
        if failed:
            self._note(failed[0])
            raise CommitError(f"kafka: {failed[0].str()}")

    def close(self) -> None:
        """Leave the group, so that others take over at once.

        A static member does not tell the broker, because it may come back.
        """
        self._is_closing = True
        # If a callback runs meanwhile, the client sometimes raises SystemError after it has closed everything.
        with suppress(SystemError):
            self._consumer.close()

    def _join(self) -> None:
        try:
            self._guard()
        except CommitError as error:
            self._kept_out = str(error)
            return
        self._kept_out, self._has_joined = "", True
        self._consumer.subscribe([self._topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost)

    def _is_unknown(self, message: Message) -> bool:
        """Whether `_take_on` must look at the message's partition first.

        That is so if the partition is new, or if its log went backwards (the offset is below the base).
        """
        base = self._bases[message.partition()]
        return base is None or message.offset() < base

    def _has_log_broken(self) -> bool:
        """Look now and then what became of the topic. Whether it is gone, made anew or shorter: then it is read elsewhere.

        A topic that is gone is taken on again before any record of its successor is taken for one of its own.
        """
        unknown = [partition for partition in self._bases if partition not in self._next]
        glance = self._history.glance(self._next, unknown)
        if glance is None:
            return False
        if glance.is_gone:
            self.rewind()
            self._take_on(self._bases)
            return True
        moved = {
            partition
            for partition, (first, end) in glance.bounds.items()
            if end < glance.asked_at[partition] or (partition not in self._next and glance.asked_at[partition] < first)
        } | set(glance.foreign)
        if moved & self._bases.keys():
            return bool(self._take_on(moved & self._bases.keys()))
        self._report_retention(glance)
        return False

    def _report_retention(self, glance: Glance) -> None:
        """Report the records that the broker has deleted before they were read.

        A partition that stands still and whose log begins further on has lost what is between. One that jumped has lost what is
        before the beginning of its log: that is how it is told from transaction markers.
        """
        for partition, (first, _) in glance.bounds.items():
            at = glance.asked_at[partition]
            if self._next.get(partition) == at < first:
                self._report_lost(partition, at, first)
                self._next[partition] = first
        gaps, self._gaps = self._gaps, []
        for partition, start, end in gaps:
            if glance.asked_at.get(partition, 0) >= end:
                self._report_lost(partition, start, min(end, glance.bounds[partition][0]))
            elif partition in self._next:
                self._gaps.append((partition, start, end))  # the broker was asked before it was noticed

    def _report_lost(self, partition: int, start: int, end: int) -> None:
        """Report that the records of these offsets are gone, except for those that were reported before."""
        start = max(start, self._told.get(partition, 0))
        if start < end:
            self._told[partition] = end
            about = {"topic": self._topic, "partition": partition, "committed": start, "reads_from": end, "lost": end - start}
            log.error("records were deleted before they were read", extra=about)
            self._on_break(Break.RETENTION, end - start)

    def _take_on(self, partitions: Collection[int]) -> set[int] | None:
        """Find out where partitions are read from, and begin there.

        Return the partitions whose position was moved, or None if the broker does not know yet.
        """
        moved: set[int] = set()
        to_mark: list[TopicPartition] = []
        try:
            starts = self._history.find_starts(self._consumer, partitions)
            for partition, start in starts.items():
                if start.log != self._logs.get(partition):
                    self._told.pop(partition, None)
                if start.broken is Break.RETENTION:
                    self._report_lost(partition, start.base, start.base + start.lost)
                elif start.broken is not None:
                    self._on_break(start.broken, 0)
                self._bases[partition], self._logs[partition] = start.base, start.log
                if start.redo_to is not None:
                    self._redo_to[partition] = start.redo_to
                self._next[partition] = start.base + start.lost
                if start.broken is not None:
                    to_mark.append(TopicPartition(self._topic, partition, start.base, encode_log_name(start.log, start.redo_to)))
                if start.seek_to is not None:
                    self._read_from(partition, start.seek_to)
                    moved.add(partition)
            if to_mark:
                self._consumer.commit(offsets=to_mark, asynchronous=False)
        except KafkaException as error:
            self._note(error.args[0])
            return None
        return moved

    def _redo(self, partition: int, end: int) -> KafkaBatch | None:
        """Return the batch that was being written when its reader was interrupted: one partition up to and without `end`.

        The other partitions stand still meanwhile, and the next poll reads all of them again from what is committed by then.
        """
        base, before = self._bases[partition] or 0, self._rebalances
        self._is_alone = True
        self._consumer.pause([place for place in self._owned() if place.partition != partition])
        self._read_from(partition, base)
        messages: list[Message] = []
        position = -1
        deadline = time.monotonic() + REDO_WITHIN_S
        while position < end:
            if time.monotonic() > deadline:
                self.rewind()
                return None
            came = self._good(self._consumer.consume(self._bounds.max_records, REDO_POLL_S))
            if self._rebalances != before:
                self.rewind()
                return None
            own = [message for message in came if message.partition() == partition]
            messages += [message for message in own if message.offset() < end]
            [place] = self._consumer.position([TopicPartition(self._topic, partition)])
            position = max([position, place.offset, *(message.offset() + 1 for message in own)])
        if not messages:
            self.rewind()
            return None
        return replace(self._batch(messages), bases={partition: base}, ends={partition: end}, is_redo=True)

    def _read_from(self, partition: int, offset: int) -> None:
        place = TopicPartition(self._topic, partition, offset)
        self._consumer.incremental_unassign([place])
        self._consumer.incremental_assign([place])
        if self._paused:
            self._consumer.pause([place])

    def _batch(self, messages: Sequence[Message]) -> KafkaBatch:
        records: list[Record] = []
        headers: dict[Position, Headers] = {}
        last: dict[int, Message] = {}
        for message in messages:
            partition, offset = message.partition(), message.offset()
            if partition not in last and offset > self._next[partition]:
                self._gaps.append((partition, self._next[partition], offset))
            last[partition] = message
            sent = _headers(message)
            own = NO_HEADERS
            if sent:
                own = headers[partition, offset] = {name: value for name, value in sent if value is not None}
            token = Token(self._logs[partition], partition, offset)
            records.append(make_record(message.value() or b"", self._form, self._topic, token, _arrived(message), own))
        ends = {partition: message.offset() + 1 for partition, message in last.items()}
        # Commit the position, not the last offset + 1: transaction markers take offsets too, and would leave a lag of 1 for ever.
        for place in self._consumer.position([TopicPartition(self._topic, partition) for partition in ends]):
            ends[place.partition] = max(place.offset, ends[place.partition])
        self._next |= ends
        bases = {partition: base for partition in ends if (base := self._bases[partition]) is not None}
        logs = {partition: self._logs[partition] for partition in ends}
        return KafkaBatch(records, headers, bases, ends, self._topic, logs, self._membership)

    def _good(self, messages: Iterable[Message]) -> list[Message]:
        """Return the messages without the errors among them. Raises KafkaException for an error that ends the client."""
        good = []
        for message in messages:
            error = message.error()
            if error is None:
                if message.partition() in self._bases:
                    good.append(message)
            elif error.fatal() or error.code() == KafkaError._FATAL:  # noqa: SLF001 -- such a message does not say that it is fatal
                raise KafkaException(error)
            else:
                self._note(error)
        return good

    def _note(self, error: KafkaError) -> None:
        """Log and count an error after which the client goes on."""
        if error.code() == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001 -- the client's name
            self._brokers_away, self._answered_at = True, None
        note_error(error)
        self._on_error(error.name())

    def _has_broker_answered(self) -> bool:
        """Ask any broker about the topic, with a short time-out. Return whether one answered."""
        try:
            self._consumer.list_topics(self._topic, timeout=ANSWER_WITHIN_S)
        except KafkaException:
            return False
        return True

    def _owned(self) -> list[TopicPartition]:
        return [TopicPartition(self._topic, partition) for partition in self._bases]

    def _pause(self) -> None:
        self._paused = True
        if self._bases:
            self._consumer.pause(self._owned())

    def _assigned(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        """Begin to read partitions. Called for every new generation of the group, also with an empty list."""
        self._rebalances += 1
        if self._is_closing:  # a generation that began while this member leaves; the client answers no more questions
            with suppress(KafkaException, RuntimeError):
                consumer.incremental_assign(places)
            return
        consumer.incremental_assign(places)
        self._bases |= dict.fromkeys(place.partition for place in places)
        # Taken here and nowhere later: metadata that is fresh when a batch is committed would let a worker commit
        # a partition that it has lost. Without a member id (lost again already) the broker would not check it at all.
        membership = consumer.consumer_group_metadata()
        self._membership = membership if consumer.memberid() else None
        self._brokers_away = False
        if places:
            # `pause` lasts over a revocation and the next assignment.
            (consumer.pause if self._paused else consumer.resume)(places)
        log.info("partitions assigned", extra={"assigned": [p.partition for p in places], "owned": self.partitions})

    def _revoked(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        self._rebalances += 1
        gone = [place.partition for place in places]
        self._on_revoke(gone)
        for partition in gone:
            self._bases.pop(partition, None)
            self._logs.pop(partition, None)
            self._redo_to.pop(partition, None)
            self._next.pop(partition, None)
        if not self._bases:
            self._without_partitions_since = time.monotonic()
        consumer.incremental_unassign(places)
        log.info("partitions revoked", extra={"revoked": gone, "owned": self.partitions})

    def _lost(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        """Drop the membership. The group has gone on without this member, and others own its partitions."""
        self._membership = None
        why = (
            "no broker could be reached" if self._brokers_away else "this worker was silent for too long, or its coordinator was"
        )
        log.warning("partitions lost: %s, and the group went on without it", why)
        self._revoked(consumer, places)


def _headers(message: Message) -> Sequence[tuple[str, bytes | None]]:
    """Return the headers, or an empty list if a name is not UTF-8, because the client then fails to read any."""
    try:
        return message.headers() or ()
    except (SystemError, UnicodeDecodeError):
        log.warning("headers that cannot be read", extra={"partition": message.partition(), "offset": message.offset()})
        return ()


def _arrived(message: Message) -> float:
    """Return when the broker or the producer says that the record arrived, in epoch seconds."""
    milliseconds: int = message.timestamp()[1]
    return milliseconds / 1e3


def goes_back(messages: Iterable[Message]) -> bool:
    """Whether a partition's offsets do not rise from message to message."""
    last: dict[int, int] = {}
    for message in messages:
        partition, offset = message.partition(), message.offset()
        if offset <= last.get(partition, -1):
            return True
        last[partition] = offset
    return False
