"""A topic read as a whole, from where it begins or from a time to where it ends now, in no consumer group."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from functools import partial

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from pipeline.kafka.config import reader_config
from pipeline.kafka.errors import when_settled
from pipeline.settings.schema import Settings

TIMEOUT_S = 15.0
READ_FOR_S = 0.05
"""How long one `consume` call collects records, even at the end of a partition."""


class TopicReader:
    """Committed records of a topic. Opened for one command and closed after it. Every method may raise KafkaException."""

    def __init__(self, settings: Settings, topic: str) -> None:
        self._topic = topic
        self._consumer = Consumer(reader_config(settings.kafka, max_record_bytes=settings.input.max_record_bytes))
        self.ends = self.find_ends()
        """The first offset of each partition, and the one after the last, when the topic was opened."""

    def find_ends(self) -> dict[int, tuple[int, int]]:
        """Return the first offset of each partition, and the one after the last that readers of committed records see."""
        known = self._consumer.list_topics(self._topic, timeout=TIMEOUT_S).topics[self._topic]
        if known.error is not None:
            raise KafkaException(known.error)
        return {
            partition: when_settled(partial(self._find_end, TopicPartition(self._topic, partition)), TIMEOUT_S)
            for partition in known.partitions
        }

    def first(self) -> dict[int, int]:
        """Return where each partition begins, without those that are empty."""
        return {partition: low for partition, (low, high) in self.ends.items() if low < high}

    def first_since(self, moment: float) -> dict[int, int]:
        """Return the first record of each partition with this time or a later one, without partitions that have none.

        `moment` is in epoch seconds.
        """
        asked = [TopicPartition(self._topic, partition, int(moment * 1e3)) for partition in self.first()]
        found = self._consumer.offsets_for_times(asked, timeout=TIMEOUT_S) if asked else []
        return {place.partition: place.offset for place in found if 0 <= place.offset < self.ends[place.partition][1]}

    def messages(self, starts: Mapping[int, int]) -> Iterator[Message]:
        """Yield the messages of each partition from its start to where it ended when the topic was opened."""
        for partition, start in starts.items():
            self._consumer.assign([TopicPartition(self._topic, partition, start)])
            silent_since = time.monotonic()
            at_end = False
            while not at_end:
                for message in self._consumer.consume(500, READ_FOR_S):
                    silent_since = time.monotonic()
                    error = message.error()
                    if error is None and message.offset() < self.ends[partition][1]:
                        yield message
                    elif error is None or error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 -- the client's name
                        at_end = True
                    else:
                        raise KafkaException(error)
                if time.monotonic() - silent_since > TIMEOUT_S:
                    raise KafkaException(KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001 -- the client's name

    def close(self) -> None:
        """Close the consumer."""
        self._consumer.close()

    def _find_end(self, place: TopicPartition) -> tuple[int, int]:
        ends: tuple[int, int] = self._consumer.get_watermark_offsets(place, timeout=TIMEOUT_S)
        return ends
