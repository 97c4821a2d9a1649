"""The newest records of some topics, read in batches by a consumer that is in no group and commits nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from pipeline.kafka.config import reader_config
from pipeline.kafka.errors import when_settled
from pipeline.kafka.offsets import GroupOffsets
from pipeline.model.errors import RetryableError
from pipeline.settings.schema import KafkaSettings

RECORDS_AT_ONCE = 5_000
LOOK_FOR_PARTITIONS_EVERY_S = 10.0
ANSWERS_WITHIN_S = 5.0


class TailRecord(NamedTuple):
    """A record's value, and when it arrived (epoch seconds)."""

    arrived: float
    value: bytes


class TopicTail:
    """Reads every partition of the topics once, from the records on that arrived at `since` (epoch seconds) or later.

    It sees committed records only. The broker keeps nothing of it. Not thread-safe.
    """

    def __init__(self, kafka: KafkaSettings, topics: Sequence[str], since: float) -> None:
        self._kafka = kafka
        self._topics = topics
        self._since = since
        self._assigned: set[tuple[str, int]] = set()
        self._behind: set[tuple[str, int]] = set()
        """Partitions whose end has not been reached yet."""
        self._look_at = 0.0
        self._consumer = Consumer(reader_config(kafka, max_record_bytes=1_000_000))

    @property
    def is_caught_up(self) -> bool:
        """Whether the end of every partition was reached."""
        return bool(self._assigned) and not self._behind

    def poll(self, seconds: float) -> list[TailRecord]:
        """Return what came within `seconds`, an empty list if nothing did. Raises RetryableError if no broker answers."""
        if time.monotonic() >= self._look_at:
            try:
                self._assign_new()
            except KafkaException as silence:
                raise RetryableError("kafka", silence.args[0].str()) from None
            self._look_at = time.monotonic() + LOOK_FOR_PARTITIONS_EVERY_S
        came = []
        for message in self._consumer.consume(RECORDS_AT_ONCE, seconds):
            error = message.error()
            if error is None:
                came.append(TailRecord(message.timestamp()[1] / 1e3, message.value() or b""))
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 -- the client's name
                self._behind.discard((message.topic(), message.partition()))
        return came

    def close(self) -> None:
        """Release the client."""
        self._consumer.close()

    def _assign_new(self) -> None:
        for topic in self._topics:
            offsets = GroupOffsets(self._kafka, topic, self._kafka.consumer_group)
            try:
                begin = when_settled(partial(offsets.at_time, self._since), ANSWERS_WITHIN_S)
            finally:
                offsets.close()
            new = {(topic, partition): offset for partition, offset in begin.items() if (topic, partition) not in self._assigned}
            self._consumer.incremental_assign([TopicPartition(*place, offset) for place, offset in new.items()])
            self._assigned |= new.keys()
            self._behind |= new.keys()
