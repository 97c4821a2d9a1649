"""Where a consumer group stands on a topic: committed offsets, ends, the oldest unread records, and moving offsets by hand."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from pipeline.kafka.config import admin_config
from pipeline.kafka.errors import when_settled
from pipeline.kafka.topics import TIMEOUT_S, topic_id
from pipeline.settings.schema import KafkaSettings

FIRST_RECORDS_WITHIN_S = 2.0
"""How long one call waits for the oldest unread records."""


class Standing(NamedTuple):
    """One partition: the first offset kept, the committed one (None if nothing was committed), and the end."""

    first: int
    committed: int | None
    end: int

    @property
    def next(self) -> int:
        """The offset of the next record to read, if it still exists."""
        return self.first if self.committed is None else self.committed


class GroupOffsets:
    """The offsets of one group on one topic. It never joins the group. Each call may raise KafkaException."""

    def __init__(self, kafka: KafkaSettings, topic: str, group: str) -> None:
        self._topic = topic
        self._group = group
        self._admin = AdminClient(admin_config(kafka))
        # A consumer asks for committed offsets. The admin client's own call kills the process (SIGSEGV) on a broker whose topic
        # of offsets has yet to be made, as on every new one.
        settled: dict[str, Any] = {
            "group.id": group,
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "fetch.message.max.bytes": 1_000,  # a larger record is still delivered, alone
        }
        self._consumer = Consumer(admin_config(kafka) | settled)

    def close(self) -> None:
        """Release the clients."""
        self._consumer.close()

    def topic_id(self) -> str:
        """Return the topic's id, by which Redis knows it."""
        return topic_id(self._admin, self._topic)

    def read(self) -> dict[int, Standing]:
        """Return the standing of every partition. A committed offset may be past the end if the topic was made again."""
        places = self._places()
        firsts = self._find(places, OffsetSpec.earliest())
        committed = self._committed(places)
        ends = self._find(places, OffsetSpec.latest())  # last, because workers go on meanwhile
        return {
            place.partition: Standing(
                firsts[place.partition],
                offset if (offset := committed[place.partition]) >= 0 else None,
                ends[place.partition],
            )
            for place in places
        }

    def at_time(self, epoch_s: float) -> dict[int, int]:
        """Return the first offset of each partition that arrived at this time or later, or the end if none did."""
        places = self._places()
        ends = self._find(places, OffsetSpec.latest())
        found = self._find(places, OffsetSpec.for_timestamp(round(epoch_s * 1e3)))
        return {partition: offset if offset >= 0 else ends[partition] for partition, offset in found.items()}

    def write(self, offsets: dict[int, int]) -> None:
        """Set the group's committed offsets. The broker refuses this while the group has members."""
        places = [TopicPartition(self._topic, partition, offset) for partition, offset in offsets.items()]
        request = ConsumerGroupTopicPartitions(self._group, places)
        future = self._admin.alter_consumer_group_offsets([request], request_timeout=TIMEOUT_S)
        for place in next(iter(future.values())).result().topic_partitions:
            if place.error is not None:
                raise KafkaException(place.error)

    def arrivals(self, offsets: Mapping[int, int]) -> dict[int, float]:
        """Return when the first record at or after each offset arrived (epoch seconds), for those that came in time."""
        if not offsets:
            return {}
        self._consumer.assign([TopicPartition(self._topic, partition, offset) for partition, offset in offsets.items()])
        arrived: dict[int, float] = {}
        deadline = time.monotonic() + FIRST_RECORDS_WITHIN_S
        while len(arrived) < len(offsets) and time.monotonic() < deadline:
            for message in self._consumer.consume(len(offsets), 0.1):
                if message.error() is None:
                    arrived.setdefault(message.partition(), message.timestamp()[1] / 1e3)
        self._consumer.unassign()
        return arrived

    def _committed(self, places: list[TopicPartition]) -> dict[int, int]:
        """Return the committed offsets, negative for partitions without one. Waits for the end of an open transaction."""

        def ask() -> dict[int, int]:
            found = self._consumer.committed(places, timeout=TIMEOUT_S)
            for place in found:
                if place.error is not None:
                    raise KafkaException(place.error)
            return {place.partition: place.offset for place in found}

        return when_settled(ask, TIMEOUT_S)

    def _places(self) -> list[TopicPartition]:
        topic = self._admin.list_topics(self._topic, timeout=TIMEOUT_S).topics[self._topic]
        if topic.error is not None:
            raise KafkaException(topic.error)
        return [TopicPartition(self._topic, partition) for partition in sorted(topic.partitions)]

    def _find(self, places: Collection[TopicPartition], spec: OffsetSpec) -> dict[int, int]:
        asked = self._admin.list_offsets(
            dict.fromkeys(places, spec), isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=TIMEOUT_S
        )
        return {place.partition: future.result().offset for place, future in asked.items()}
