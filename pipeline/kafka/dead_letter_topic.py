"""The dead-letter topic: read as a whole, and replayed in transactions that mark what they replayed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from pipeline.kafka.config import admin_config, transactional_config
from pipeline.kafka.dead_letters import LetterAddress, StoredLetter, Wanted, mark, read_mark
from pipeline.kafka.topic_reader import READ_FOR_S, TIMEOUT_S, TopicReader
from pipeline.settings.schema import KafkaSettings, Settings

BROKERS_SWEEP_S = 10.0
"""How long a broker may take to abort a transaction after its time-out."""
LETTERS_PER_TRANSACTION = 500
BYTES_PER_TRANSACTION = 16_000_000
"""Bounds the memory of a replay. A transaction exceeds it by at most one letter, for which the client's queue has room."""


@dataclass(slots=True)
class Replayed:
    """Counts of a replay so far. `letters` were replayed."""

    letters: int = 0
    already: int = 0
    """Letters that the filters select and that were replayed before."""
    cut: int = 0
    """Letters that the filters select but that were not kept whole."""
    has_more: bool = False
    """Whether the limit left out further letters."""


class DeadLetterTopic:
    """The dead letters that are on the topic now. Opened for one command and closed after it."""

    def __init__(self, settings: Settings, *, is_settled: bool = False) -> None:
        """Open the topic.

        With `is_settled`, wait first until all transactions that are open now have ended. Raises KafkaException.
        """
        self._kafka = settings.kafka
        self._reader = TopicReader(settings, settings.kafka.dead_letters)
        if is_settled:
            self._settle()

    def replayed(self) -> set[LetterAddress]:
        """Return the addresses of all dead letters that were replayed."""
        messages = self._reader.messages(self._reader.first())
        return {place for message in messages if (place := read_mark(_headers(message))) is not None}

    def letters(self, wanted: Wanted) -> Iterator[StoredLetter]:
        """Yield the dead letters that `wanted` selects, replayed or not, partition by partition, in the order of offsets."""
        first = self._reader.first()
        for message in self._reader.messages(first if wanted.places is None else _starts(first, wanted.places)):
            headers = _headers(message)
            if read_mark(headers) is None:
                place = LetterAddress(message.partition(), message.offset())
                letter = StoredLetter(place, message.value() or b"", headers, message.timestamp()[1] / 1e3)
                if wanted.takes(letter):
                    yield letter

    def close(self) -> None:
        """Close the consumer."""
        self._reader.close()

    def _settle(self) -> None:
        """Wait for the end of open transactions, because no reader sees marks behind an open one."""
        topic, ends = self._kafka.dead_letters, self._reader.ends
        latest = dict.fromkeys((TopicPartition(topic, partition) for partition in ends), OffsetSpec.latest())
        admin = AdminClient(admin_config(self._kafka))
        futures = admin.list_offsets(latest, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=TIMEOUT_S)
        produced = {place.partition: future.result().offset for place, future in futures.items()}
        until = time.monotonic() + self._kafka.transaction_timeout_s + BROKERS_SWEEP_S + TIMEOUT_S
        while any(self._reader.ends[partition][1] < offset for partition, offset in produced.items()):
            if time.monotonic() > until:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001 -- the client's name
            time.sleep(READ_FOR_S)
            self._reader.ends = self._reader.find_ends()


def replay_letters(
    settings: Settings,
    wanted: Wanted,
    on_progress: Callable[[Replayed], None],
    *,
    limit: int | None = None,
    per_second: float | None = None,
) -> Replayed:
    """Produce dead letters to the input topic again, at most `limit` of them, and mark each in the same transaction.

    An interruption leaves no letter half done, so each is replayed once even if this is called again. `per_second` limits the
    average rate. `on_progress` is called after each transaction. Raises KafkaException.

    The producer is registered before the marks are read. That ends the open transaction of an interrupted replay and fences off
    one that still runs, so no mark can appear later.
    """
    kafka = settings.kafka
    producer = Producer(transactional_config(kafka, f"{kafka.consumer_group}-dead-letters"))
    producer.init_transactions(TIMEOUT_S)
    topic = DeadLetterTopic(settings, is_settled=True)
    progress = Replayed()
    together = LETTERS_PER_TRANSACTION if per_second is None else min(LETTERS_PER_TRANSACTION, math.ceil(per_second))
    started = time.monotonic()
    try:
        for batch in _batches(_pending(topic, wanted, progress, limit), together):
            if per_second is not None:
                time.sleep(max(0.0, started + progress.letters / per_second - time.monotonic()))
            _replay_together(producer, batch, kafka)
            progress.letters += len(batch)
            on_progress(progress)
    finally:
        topic.close()
    return progress


def preview_replay(
    settings: Settings, wanted: Wanted, on_letter: Callable[[StoredLetter], None], *, limit: int | None = None
) -> Replayed:
    """Return what `replay_letters` would return now, and call `on_letter` for each letter that it would replay.

    Writes nothing, and does not disturb a replay that runs at the same time. Raises KafkaException.
    """
    topic = DeadLetterTopic(settings)
    progress = Replayed()
    try:
        for letter in _pending(topic, wanted, progress, limit):
            progress.letters += 1
            on_letter(letter)
    finally:
        topic.close()
    return progress


def _pending(topic: DeadLetterTopic, wanted: Wanted, progress: Replayed, limit: int | None) -> Iterator[StoredLetter]:
    """Yield the wanted letters that can be replayed, at most `limit`. Count the others in `progress`."""
    done = topic.replayed()
    number = 0
    for letter in topic.letters(wanted):
        if letter.place in done:
            progress.already += 1
        elif not letter.is_whole:
            progress.cut += 1
        elif number == limit:
            progress.has_more = True
            return
        else:
            number += 1
            yield letter


def _batches(letters: Iterable[StoredLetter], together: int) -> Iterator[list[StoredLetter]]:
    """Cut letters into batches of one transaction each, by number and bytes."""
    batch: list[StoredLetter] = []
    size = 0
    for letter in letters:
        batch.append(letter)
        size += len(letter.body)
        if len(batch) >= together or size >= BYTES_PER_TRANSACTION:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _replay_together(producer: Producer, letters: Sequence[StoredLetter], kafka: KafkaSettings) -> None:
    producer.begin_transaction()
    try:
        for letter in letters:
            back, done = letter.replayed(), mark(letter.place)
            producer.produce(kafka.events_in, back.value, back.key, headers=back.headers)
            producer.produce(kafka.dead_letters, done.value, done.key, letter.place.partition, headers=done.headers)
            producer.poll(0)
        producer.commit_transaction(kafka.transaction_timeout_s)
    except KafkaException as error:
        if error.args[0].txn_requires_abort():
            producer.abort_transaction(TIMEOUT_S)
        raise


def _headers(message: Message) -> dict[str, bytes]:
    return {name: value for name, value in message.headers() or () if value is not None}


def _starts(first: dict[int, int], places: frozenset[LetterAddress]) -> dict[int, int]:
    """Return where to start in each partition: at the first address of `places`."""
    starts: dict[int, int] = {}
    for place in places:
        if place.partition in first:
            starts[place.partition] = min(starts.get(place.partition, place.offset), place.offset)
    return {partition: max(start, first[partition]) for partition, start in starts.items()}
