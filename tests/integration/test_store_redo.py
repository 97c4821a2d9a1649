"""A batch whose bounds are durable is read again as the same batch, whatever has come behind it since."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest
from support.kafka_broker import Broker, fresh_settings, produce

from pipeline.kafka.batch import KafkaBatch
from pipeline.kafka.consumer import KafkaConsumer
from pipeline.kafka.start import encode_log_name
from pipeline.model.record import Form
from pipeline.settings.schema import BatchSettings, Settings

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


@pytest.fixture
def settings(broker: Broker) -> Settings:
    name = f"{random.getrandbits(32):08x}"
    return fresh_settings(broker, partitions=2, events_out_dead_letters=f"e-{name}", outcomes_dead_letters=f"o-{name}")


@pytest.fixture
def consumer(settings: Settings) -> Iterator[KafkaConsumer]:
    consumer = open_reader(settings)
    yield consumer
    consumer.close()


def open_reader(settings: Settings) -> KafkaConsumer:
    bounds = BatchSettings(max_records=1_000, max_wait_ms=300)
    kafka = settings.kafka
    return KafkaConsumer(
        kafka, kafka.events_out, f"{kafka.consumer_group}-store", bounds, max_record_bytes=10_000_000, form=Form.JSON
    )


def next_batch(consumer: KafkaConsumer) -> KafkaBatch:
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        batch = consumer.poll()
        if batch is not None:
            return batch
    pytest.fail("no batch came")


def fix_bounds(consumer: KafkaConsumer, batch: KafkaBatch) -> None:
    positions = batch.positions
    bounds = {partition: encode_log_name(positions.logs[partition], end) for partition, end in positions.ends.items()}
    consumer.commit({partition: positions.bases[partition] for partition in positions.ends}, bounds)


def bodies(batch: KafkaBatch) -> list[bytes]:
    return [record.body for record in batch.records]


def test_the_same_reader_reads_the_same_batch_again(broker: Broker, settings: Settings, consumer: KafkaConsumer) -> None:
    topic = settings.kafka.events_out
    produce(broker, topic, [b"a%d" % number for number in range(20)], partition=0)
    first = next_batch(consumer)
    fix_bounds(consumer, first)
    produce(broker, topic, [b"b%d" % number for number in range(30)], partition=0)
    produce(broker, topic, [b"c%d" % number for number in range(10)], partition=1)
    consumer.rewind()

    again = next_batch(consumer)
    assert again.is_redo
    assert (bodies(again), again.bases, again.ends) == (bodies(first), first.bases, first.ends)
    assert consumer.skipped() is None
    consumer.commit(again.positions.ends, again.positions.metadata)
    consumer.committed(again.positions)
    rest: list[bytes] = []
    while len(rest) < 40:
        batch = next_batch(consumer)
        assert not batch.is_redo
        rest += bodies(batch)
        consumer.commit(batch.positions.ends, batch.positions.metadata)
        consumer.committed(batch.positions)
    assert sorted(rest) == sorted([*(b"b%d" % number for number in range(30)), *(b"c%d" % number for number in range(10))])


def test_another_reader_reads_the_same_batches_one_partition_after_the_other(broker: Broker, settings: Settings) -> None:
    topic = settings.kafka.events_out
    for partition in range(2):
        produce(broker, topic, [b"%d-%d" % (partition, number) for number in range(15)], partition=partition)
    one = open_reader(settings)
    first = next_batch(one)
    while set(first.ends) != {0, 1}:
        one.rewind()
        first = next_batch(one)
    fix_bounds(one, first)
    one.close()
    produce(broker, topic, [b"late"], partition=0)

    other = open_reader(settings)
    try:
        seen: dict[int, list[bytes]] = {}
        for _ in range(2):
            batch = next_batch(other)
            [(partition, end)] = batch.ends.items()
            assert batch.is_redo
            assert (batch.bases[partition], end) == (first.bases[partition], first.ends[partition])
            seen[partition] = bodies(batch)
            other.commit(batch.positions.ends, batch.positions.metadata)
            other.committed(batch.positions)
        assert seen == {
            partition: [record.body for record in first.records if record.token.partition == partition] for partition in range(2)
        }
        last = next_batch(other)
        assert not last.is_redo
        assert bodies(last) == [b"late"]
    finally:
        other.close()
