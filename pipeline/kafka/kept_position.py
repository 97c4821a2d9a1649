"""The position of a source outside Kafka, kept by the broker: as metadata of a committed offset, in a group without members.

The position is committed in the transaction that holds what was read before it, so both are durable or neither.
"""

from __future__ import annotations

import logging
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from pipeline.kafka.batch import KafkaPositions
from pipeline.kafka.config import client_config
from pipeline.kafka.errors import when_settled
from pipeline.model.errors import RetryableError
from pipeline.observability.log_repeats import KAFKA_CLIENT
from pipeline.settings.schema import KafkaSettings

TIMEOUT_S = 5.0
PARTITION = 0
"""The partition whose metadata holds the position. A broker keeps metadata only beside an offset, which has no meaning here."""


class KeptPosition:
    """One position, as text. Not thread-safe. The group must belong to this source alone."""

    def __init__(self, kafka: KafkaSettings, topic: str, group: str) -> None:
        self._topic = topic
        config: dict[str, Any] = {
            "logger": logging.getLogger(KAFKA_CLIENT),
            "group.id": group,
            "enable.auto.commit": False,
            "isolation.level": "read_committed",  # waits for the end of an open transaction
        }
        self._consumer = Consumer(client_config(kafka) | config)
        self._membership = self._consumer.consumer_group_metadata()
        self._commits = 0

    def read(self) -> str:
        """Return the committed position, or "" if there is none. Raises RetryableError if the broker does not answer."""
        place = TopicPartition(self._topic, PARTITION)

        def ask() -> TopicPartition:
            [found] = self._consumer.committed([place], timeout=TIMEOUT_S)
            if found.error is not None:
                raise KafkaException(found.error)
            return found

        try:
            found = when_settled(ask, TIMEOUT_S)
        except KafkaException as error:
            raise RetryableError("kafka", error.args[0].str()) from None
        self._commits = max(0, found.offset)
        return found.metadata or ""

    def positions(self, text: str) -> KafkaPositions:
        """Return what a transaction commits to keep a position.

        The offset grows with each, so that monitors of lag see progress.
        """
        self._commits += 1
        return KafkaPositions(self._topic, {PARTITION: self._commits}, self._membership, {PARTITION: text})

    def close(self) -> None:
        """Release the client."""
        self._consumer.close()
