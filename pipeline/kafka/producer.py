"""The transactional producer: all that a batch produced, and the offsets that it consumed, become visible together.

Every failure is a CommitError. Either nothing of the batch is visible, or the broker did not answer and only the committed
offsets show what happened. In both cases reading goes on at the committed offsets.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from pipeline.kafka.batch import KafkaPositions
from pipeline.kafka.config import worker_producer_config
from pipeline.kafka.errors import note_error
from pipeline.model.errors import CommitError, SlotTakenError
from pipeline.model.record import Outputs
from pipeline.settings.schema import KafkaSettings

log = logging.getLogger(__name__)

FENCES_BEFORE_GIVING_UP = 5
FENCES_WITHIN_S = 60.0
"""Period for FENCES_BEFORE_GIVING_UP. A worker that slept past the transaction's time-out is fenced once. One that is fenced
again and again shares its slot with another worker."""

_FENCED = frozenset({KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED})  # noqa: SLF001 -- the client's name for it

_LOST_BROKER = frozenset({KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN})  # noqa: SLF001 -- likewise


class TransactionalProducer:
    """A producer whose records and offsets become visible together or not at all. Not thread-safe.

    A new client is built after the broker has fenced it off or was away. Before that, `guard` is called, and raises if another
    process uses the transactional id. `on_error` is called with the name of each error after which the client goes on.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        transactional_id: str,
        on_error: Callable[[str], None] = lambda _: None,
        *,
        guard: Callable[[], None] = lambda: None,
    ) -> None:
        self._guard = guard
        self._kafka = kafka
        self._id = transactional_id
        self._producer: Producer | None = None
        self._lost_broker = False
        self._refused: list[str] = []
        self._fences: list[float] = []
        self._report_error = on_error

    def commit(self, outputs: Outputs | None, positions: KafkaPositions) -> None:
        """Produce and commit. Raises CommitError, or SlotTakenError if another worker keeps fencing this one off.

        Call it after stages and ledger are done. A transaction that is open while they work would run into its time-out.
        """
        producer = self._ready_producer()
        deadline = time.monotonic() + self._kafka.transaction_timeout_s
        self._refused.clear()
        try:
            producer.begin_transaction()
            self.produce(producer, outputs or {}, deadline)
            offsets = [
                TopicPartition(positions.topic, partition, end, positions.metadata.get(partition, ""))
                for partition, end in sorted(positions.ends.items())
            ]
            membership = positions.membership
            self._patiently(deadline, lambda: producer.send_offsets_to_transaction(offsets, membership, _left(deadline)))
            self.finish(producer, deadline)
        except KafkaException as error:
            raise self._aborted(producer, error.args[0]) from None
        except BufferError:
            raise self._aborted(producer, KafkaError(KafkaError._QUEUE_FULL)) from None  # noqa: SLF001 -- the client's name for it

    def register(self) -> None:
        """End the transaction that an earlier process with this transactional id left open.

        `commit` does it too. Raises CommitError.
        """
        self._ready_producer()

    def produce(self, producer: Producer, outputs: Outputs, deadline: float) -> None:
        """Hand the records to the client. If its queue is full, wait for the broker. Raises BufferError at the deadline."""
        for topic, records in outputs.items():
            for key, value, headers in records:
                while True:
                    try:
                        producer.produce(topic, value, key, headers=headers)
                        break
                    except BufferError:
                        if time.monotonic() > deadline:
                            raise
                        producer.poll(0.05)
        producer.poll(0)

    def finish(self, producer: Producer, deadline: float) -> None:
        """Commit the open transaction."""
        self._patiently(deadline, lambda: producer.commit_transaction(_left(deadline)))

    def close(self) -> None:
        """Close the producer. No transaction is open between two commits."""
        if self._producer is not None:
            self._producer.close()
            self._producer = None

    def _ready_producer(self) -> Producer:
        """Return the producer. Build and register a new one if there is none. Raises CommitError.

        A producer that lost its broker while idle is not used again. When it then asks for the group's coordinator, the client
        may wait for ever, whatever time-out it was given (librdkafka 2.16, after outages longer than the session).
        """
        if self._producer is not None:
            self._producer.poll(0)  # the client now reports what happened since the last commit
        if self._producer is None or self._lost_broker:
            self._guard()
            self._discard_producer()
            callbacks = {"error_cb": self._on_error, "on_delivery": self._on_delivery}
            producer = Producer(worker_producer_config(self._kafka, self._id) | callbacks)
            try:
                # Ends the transaction that an earlier process with this slot left open.
                producer.init_transactions(self._kafka.transaction_timeout_s)
            except KafkaException as error:
                self._note(error.args[0])
                raise CommitError(f"kafka: no transactions yet: {error.args[0].str()}") from None
            self._producer, self._lost_broker = producer, False
        return self._producer

    def _discard_producer(self) -> None:
        if self._producer is not None:
            self._producer.purge()
            self._producer = None

    def _patiently(self, deadline: float, call: Callable[[], None]) -> None:
        """Call until it succeeds or fails with an error that is not retriable. Raises KafkaException."""
        while True:
            try:
                call()
            except KafkaException as error:
                if not error.args[0].retriable() or time.monotonic() > deadline:
                    raise
                self._note(error.args[0])
            else:
                return

    def _aborted(self, producer: Producer, error: KafkaError) -> CommitError:
        """Abort the open transaction. If that is no longer possible, the next commit starts with a new producer."""
        self._note(error)
        reason = "; ".join(self._refused[:3]) or error.str()
        is_slot_taken = error.code() in _FENCED and self._is_fenced_too_often()
        if not (error.fatal() or is_slot_taken):
            try:
                producer.abort_transaction(self._kafka.transaction_timeout_s)
            except KafkaException as second:
                self._note(second.args[0])
            else:
                return CommitError(f"kafka: {reason}")
        self._discard_producer()
        if is_slot_taken:
            raise SlotTakenError(f"transactional id {self._id} is used by another worker: every worker needs its own slot")
        return CommitError(f"kafka: {reason}")

    def _is_fenced_too_often(self) -> bool:
        now = time.monotonic()
        self._fences = [moment for moment in self._fences if moment > now - FENCES_WITHIN_S] + [now]
        return len(self._fences) >= FENCES_BEFORE_GIVING_UP

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is not None and len(self._refused) < 10:
            self._refused.append(f"{message.topic()}: {error.str()}")

    def _on_error(self, error: KafkaError) -> None:
        self._lost_broker = self._lost_broker or error.code() in _LOST_BROKER
        self._note(error)

    def _note(self, error: KafkaError) -> None:
        note_error(error)
        self._report_error(error.name())


def _left(deadline: float) -> float:
    return max(0.1, deadline - time.monotonic())
