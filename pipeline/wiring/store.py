"""Puts a store together: Kafka on one end, ClickHouse on the other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

from pipeline.clickhouse.client import Client, check_version
from pipeline.kafka.batch import Headers, KafkaBatch
from pipeline.kafka.config import transactional_id
from pipeline.kafka.consumer import KafkaConsumer
from pipeline.kafka.lag import LagWatch
from pipeline.kafka.offsets import GroupOffsets
from pipeline.kafka.producer import TransactionalProducer
from pipeline.kafka.topic_reader import TopicReader
from pipeline.kafka.topics import outcome_topics
from pipeline.model.dead_letter import DeadLetter
from pipeline.model.errors import SettingsError
from pipeline.model.record import Form, Output
from pipeline.observability.prometheus_store import StoreMetrics, TopicMetrics
from pipeline.runtimes.dead_letter_limit import DeadLetterLimit
from pipeline.runtimes.loop import Loop
from pipeline.runtimes.worker.encoding import dead_letter
from pipeline.settings.schema import BatchSettings, Settings
from pipeline.store.process import Store, TopicLoop
from pipeline.store.sink import StoreSink
from pipeline.store.work import StoreResult, StoreWork, event_work, outcome_work
from pipeline.store.writer import RowWriter


def connect_clickhouse(settings: Settings) -> Client:
    """Return a client for `clickhouse.url`. Raises SettingsError, AwayError, and RefusedError for a server that is too old."""
    own = settings.clickhouse
    if own.url is None:
        raise SettingsError("clickhouse.url is not set (PIPELINE_CLICKHOUSE_URL): chdb:///path or http://host:8123/database")
    client = Client(own.url, timeout_s=own.timeout_s, memory_bytes=own.memory_bytes)
    check_version(client)
    return client


def make_store(settings: Settings, client: Client, metrics: StoreMetrics) -> Store:
    """Return a store that has not started. The topics and tables must exist."""
    kafka = settings.kafka
    writer = RowWriter(client)
    works: list[tuple[str, StoreWork[Any], str]] = [
        (kafka.events_out, event_work(kafka.events_out, writer, client.ping, metrics), kafka.events_out_dead_letters)
    ]
    works += [
        (topic, outcome_work(topic, writer, client.ping, metrics), kafka.outcomes_dead_letters) for topic in outcome_topics(kafka)
    ]
    return Store(tuple(_topic_loop(settings, *work, metrics) for work in works), client, metrics)


def _topic_loop(settings: Settings, topic: str, work: StoreWork[Any], letters_to: str, metrics: StoreMetrics) -> TopicLoop:
    kafka, own = settings.kafka, settings.store
    group = store_group(settings, topic)
    source = KafkaConsumer(
        kafka,
        topic,
        group,
        BatchSettings(max_records=own.max_records, max_bytes=own.max_bytes, max_wait_ms=own.max_wait_ms),
        max_record_bytes=kafka.max_output_bytes,
        form=Form.JSON,
        on_error=metrics.kafka_error,
        on_break=metrics.input_break,
    )
    producer = TransactionalProducer(kafka, transactional_id(kafka, group), metrics.kafka_error)

    def letter(dead: DeadLetter, headers: Headers) -> Output:
        return dead_letter(dead, headers, settings, time.time())

    sink = StoreSink(source, producer, work.write, letter, letters_to)
    loop: Loop[KafkaBatch, StoreResult[Any]] = Loop(
        source, work, sink, TopicMetrics(metrics, topic), DeadLetterLimit(settings.dead_letters)
    )
    watch = LagWatch(GroupOffsets(kafka, topic, group), lambda: 0 in source.partitions, partial(metrics.lag, topic))
    return TopicLoop(topic, loop, watch)


def store_group(settings: Settings, topic: str) -> str:
    """Return the consumer group that stores a topic."""
    return f"{settings.store.consumer_group}-{topic}"


def stored_messages(settings: Settings, since: float) -> Iterator[bytes]:
    """Yield the storage messages that the store has gone past, from a time on (epoch seconds). Raises KafkaException."""
    topic = settings.kafka.events_out
    offsets = GroupOffsets(settings.kafka, topic, store_group(settings, topic))
    reader = TopicReader(settings, topic)
    try:
        committed = {partition: standing.committed or 0 for partition, standing in offsets.read().items()}
        for message in reader.messages(reader.first_since(since)):
            if message.offset() < committed.get(message.partition(), 0):
                yield message.value() or b""
    finally:
        reader.close()
        offsets.close()
