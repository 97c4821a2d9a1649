"""Where the workers' group stands: committed offsets, ends, and moving the former by hand."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import NamedTuple

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from pipeline.kafka.config import admin_config, client_config
from pipeline.kafka.errors import when_settled
from pipeline.kafka.topics import TIMEOUT_S, topic_id
from pipeline.settings.schema import KafkaSettings


class Standing(NamedTuple):
    """One partition: the first offset kept, the committed one (None: nothing was committed), and the end."""

    first: int
    committed: int | None
    end: int


class GroupOffsets:
    """The offsets of one group on one topic: by default the workers' on the input topic."""

    def __init__(self, kafka: KafkaSettings, *, group: str | None = None, topic: str | None = None) -> None:
        self._kafka = kafka
        self._group = group or kafka.consumer_group
        self._topic = topic or kafka.events_in
        self._admin = AdminClient(admin_config(kafka))

    def topic_id(self) -> str:
        """Give the topic's id, by which Redis knows it. Raises KafkaException."""
        return topic_id(self._admin, self._topic)

    def read(self) -> dict[int, Standing]:
        """Give every partition's standing. Raises KafkaException."""
        places = self._places()
        firsts = self._find(places, OffsetSpec.earliest())
        ends = self._find(places, OffsetSpec.latest())
        committed = self._committed(places)
        return {
            place.partition: Standing(
                firsts[place.partition],
                offset if (offset := committed[place.partition]) >= 0 else None,
                ends[place.partition],
            )
            for place in places
        }

    def at_time(self, epoch_s: float) -> dict[int, int]:
        """Give the first offset of each partition that arrived at this time or later; the end where none did."""
        places = self._places()
        ends = self._find(places, OffsetSpec.latest())
        found = self._find(places, OffsetSpec.for_timestamp(round(epoch_s * 1e3)))
        return {partition: offset if offset >= 0 else ends[partition] for partition, offset in found.items()}

    def write(self, offsets: dict[int, int]) -> None:
        """Move the group. Raises KafkaException, among others where a worker still runs."""
        places = [TopicPartition(self._topic, partition, offset) for partition, offset in offsets.items()]
        request = ConsumerGroupTopicPartitions(self._group, places)
        future = self._admin.alter_consumer_group_offsets([request], request_timeout=TIMEOUT_S)
        for place in next(iter(future.values())).result().topic_partitions:
            if place.error is not None:
                raise KafkaException(place.error)

    def _committed(self, places: list[TopicPartition]) -> dict[int, int]:
        """Give what is committed, negative where nothing is; waits for an open transaction's end.

        Asked by a consumer that never joins: the admin client's own call kills the process (SIGSEGV) where the broker has yet to
        make its topic of offsets, as every new one has.
        """
        stable = {"group.id": self._group, "isolation.level": "read_committed"}
        consumer = Consumer(client_config(self._kafka) | stable)

        def ask() -> dict[int, int]:
            found = consumer.committed(places, timeout=TIMEOUT_S)
            for place in found:
                if place.error is not None:
                    raise KafkaException(place.error)
            return {place.partition: place.offset for place in found}

        try:
            return when_settled(ask, TIMEOUT_S)
        finally:
            consumer.close()

    def _places(self) -> list[TopicPartition]:
        topic = self._admin.list_topics(self._topic, timeout=TIMEOUT_S).topics[self._topic]
        if topic.error is not None:
            raise KafkaException(topic.error)
        return [TopicPartition(self._topic, partition) for partition in sorted(topic.partitions)]

    def _find(self, places: list[TopicPartition], spec: OffsetSpec) -> dict[int, int]:
        futures = self._admin.list_offsets(dict.fromkeys(places, spec), request_timeout=TIMEOUT_S)
        return {place.partition: future.result().offset for place, future in futures.items()}


def begin_at(kafka: KafkaSettings, group: str, topics: Iterable[str], epoch_s: float) -> None:
    """Let a group that nobody is a member of begin with the records that arrived from a moment on. Raises KafkaException."""
    for topic in topics:
        offsets = GroupOffsets(kafka, group=group, topic=topic)
        begin = when_settled(partial(offsets.at_time, epoch_s), TIMEOUT_S)
        when_settled(partial(offsets.write, begin), TIMEOUT_S)
