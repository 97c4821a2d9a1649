"""One test for each trap of librdkafka that the source steps around (docs/delivery.md has the list)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import NewPartitions
from support.kafka_broker import Broker, admin, committed, fresh_settings, open_consumer, open_producer, produce, read_all

from pipeline.kafka.batch import KafkaBatch, place_of
from pipeline.kafka.consumer import KafkaConsumer
from pipeline.kafka.errors import when_settled
from pipeline.kafka.offsets import GroupOffsets
from pipeline.kafka.producer import TransactionalProducer
from pipeline.kafka.start import encode_log_name
from pipeline.kafka.topics import create_topics
from pipeline.kafka.topics import topic_id as find_topic_id
from pipeline.model.errors import CommitError
from pipeline.model.record import Output
from pipeline.runtimes.worker.work import covered_by
from pipeline.settings.schema import Settings

pytestmark = pytest.mark.kafka

Open = Callable[[Settings], KafkaConsumer]


@pytest.fixture
def open_source() -> Iterator[Open]:
    opened: list[KafkaConsumer] = []

    def open_(settings: Settings) -> KafkaConsumer:
        opened.append(open_consumer(settings))
        return opened[-1]

    yield open_
    for source in opened:
        source.close()


def next_batch(source: KafkaConsumer, *others: KafkaConsumer, within_s: float = 20) -> KafkaBatch:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        for other in others:
            other.poll()
        batch = source.poll()
        if batch is not None:
            return batch
    raise AssertionError(f"no batch within {within_s} s")


def until(condition: Callable[[], bool], *sources: KafkaConsumer, within_s: float = 25) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s"
        for source in sources:
            source.poll()


def offsets(batch: KafkaBatch) -> list[tuple[int, int]]:
    return sorted(place_of(record) for record in batch.records)


def events(settings: Settings, number: int) -> dict[str, list[Output]]:
    return {settings.kafka.events_out: [Output(b"1", b"event", [])] * number}


def test_a_batch_of_a_former_generation_cannot_commit(broker: Broker, open_source: Open) -> None:
    """Fresh group metadata would let a worker commit a partition that it has lost: a batch keeps the metadata of its poll."""
    settings = fresh_settings(broker)
    first = open_source(settings)
    until(lambda: len(first.partitions) == 4, first)
    produce(broker, settings.kafka.events_in, [b"x"] * 200)
    old = next_batch(first)
    second = open_source(settings)
    until(lambda: len(second.partitions) == 2, first, second)

    with pytest.raises(CommitError):
        open_producer(settings).commit(events(settings, 1), old.positions)
    assert read_all(broker, settings.kafka.events_out) == []
    assert set(committed(settings).values()) == {-1001}


def test_a_worker_that_was_silent_too_long_loses_its_batch(broker: Broker, open_source: Open) -> None:
    settings = fresh_settings(broker, max_poll_interval_s=6.0)
    zombie = open_source(settings)
    produce(broker, settings.kafka.events_in, [b"x"] * 10)
    old = next_batch(zombie)
    time.sleep(7.5)  # past max.poll.interval: the client leaves the group behind our back, and forgets its member id
    with pytest.raises(CommitError):
        open_producer(settings).commit(events(settings, 10), old.positions)
    again = next_batch(zombie)
    assert offsets(again)[:1] == offsets(old)[:1]


def test_an_aborted_transaction_is_read_again_after_rewind(broker: Broker, open_source: Open) -> None:
    settings = fresh_settings(broker, partitions=1, transaction_timeout_s=3.0)
    source, sink = open_source(settings), open_producer(settings)
    produce(broker, settings.kafka.events_in, [b"x"] * 10)
    batch = next_batch(source)
    refused = events(settings, 3) | {"no-such-topic": [Output(None, b"x", [])]}
    with pytest.raises(CommitError):
        sink.commit(refused, batch.positions)
    assert read_all(broker, settings.kafka.events_out) == []
    assert source.poll() is None, "an abort alone does not bring the records back"
    source.rewind()
    again = next_batch(source)
    assert offsets(again) == offsets(batch)
    assert again.bases == batch.bases
    sink.commit(events(settings, 10), again.positions)
    assert len(read_all(broker, settings.kafka.events_out)) == 10
    assert committed(settings) == {0: 10}


def test_the_base_is_what_was_committed(broker: Broker, open_source: Open) -> None:
    settings = fresh_settings(broker, partitions=1)
    source, sink = open_source(settings), open_producer(settings)
    for round_ in range(3):
        produce(broker, settings.kafka.events_in, [b"x"] * 10)
        batch = next_batch(source)
        while len(batch.records) < 10 and batch.ends[0] < 10 * (round_ + 1):
            source.rewind()
            batch = next_batch(source)
        assert [(part.base, part.end) for part in covered_by(batch)] == [(10 * round_, 10 * (round_ + 1))]
        sink.commit({}, batch.positions)
        source.committed(batch.positions)


def test_a_pause_does_not_outlive_a_change_of_owner(broker: Broker, open_source: Open) -> None:
    """librdkafka keeps a partition paused over revoke and re-assign."""
    settings = fresh_settings(broker)
    first = open_source(settings)
    until(lambda: len(first.partitions) == 4, first)
    first.wait(0.1)
    second = open_source(settings)
    until(lambda: len(second.partitions) == 2, second, first)
    first.resume()
    second.close()
    until(lambda: len(first.partitions) == 4, first)
    produce(broker, settings.kafka.events_in, [b"x"] * 400)
    seen: set[tuple[int, int]] = set()
    while len(seen) < 400:
        seen.update(offsets(next_batch(first)))


def test_waiting_keeps_membership_and_the_batch(broker: Broker, open_source: Open) -> None:
    settings = fresh_settings(broker, partitions=1, max_poll_interval_s=6.0)
    source, sink = open_source(settings), open_producer(settings)
    produce(broker, settings.kafka.events_in, [b"x"] * 10)
    batch = next_batch(source)
    produce(broker, settings.kafka.events_in, [b"later"] * 10)
    deadline = time.monotonic() + 8  # longer than the group waits for a member that does not poll
    while time.monotonic() < deadline:
        assert source.wait(0.25), "the group moved"
    source.resume()
    sink.commit(events(settings, 10), batch.positions)
    source.committed(batch.positions)
    assert next_batch(source).bases == batch.ends


def test_added_partitions_are_read_from_their_first_record(broker: Broker, open_source: Open) -> None:
    settings = fresh_settings(broker, partitions=1, metadata_refresh_s=1.0)
    source = open_source(settings)
    until(lambda: source.partitions == [0], source)
    client = admin(broker)
    for future in client.create_partitions([NewPartitions(settings.kafka.events_in, 3)]).values():
        future.result()
    time.sleep(0.5)
    produce(broker, settings.kafka.events_in, [b"early"] * 5, partition=2)
    batch = next_batch(source)
    assert (2, 0) in offsets(batch)
    until(lambda: source.partitions == [0, 1, 2], source)


def test_transaction_markers_leave_no_lag(broker: Broker, open_source: Open) -> None:
    """A producer's commit marker takes an offset: last offset + 1 would stay one behind the end for ever."""
    settings = fresh_settings(broker, partitions=1)
    producer = Producer({"bootstrap.servers": broker.address, "transactional.id": settings.kafka.consumer_group})
    producer.init_transactions(20)
    producer.begin_transaction()
    for _ in range(5):
        producer.produce(settings.kafka.events_in, b"x")
    producer.commit_transaction(20)
    source, sink = open_source(settings), open_producer(settings)
    batch = next_batch(source)
    sink.commit({}, batch.positions)
    source.committed(batch.positions)

    def commit_what_was_skipped() -> bool:
        positions = source.skipped()
        if positions is not None:
            sink.commit(None, positions)
            source.committed(positions)
        return committed(settings) == {0: 6}

    until(commit_what_was_skipped, source)
    offsets_of_group = GroupOffsets(settings.kafka, settings.kafka.events_in, settings.kafka.consumer_group)
    assert offsets_of_group.read()[0].committed == offsets_of_group.read()[0].end
    offsets_of_group.close()


def test_a_recreated_topic_is_another_one(broker: Broker, open_source: Open) -> None:
    settings = fresh_settings(broker, partitions=1)
    produce(broker, settings.kafka.events_in, [b"x"])
    source = open_consumer(settings)
    before = next_batch(source).logs
    source.close()
    client = admin(broker)
    for future in client.delete_topics([settings.kafka.events_in], operation_timeout=15).values():
        future.result()
    time.sleep(1)
    create_topics(settings, 1)
    produce(broker, settings.kafka.events_in, [b"x"])
    assert next_batch(open_source(settings)).logs != before


def recreate(broker: Broker, settings: Settings, number: int) -> None:
    """Delete the input topic, make it again, and fill it."""
    client = admin(broker)
    for future in client.delete_topics([settings.kafka.events_in], operation_timeout=15).values():
        future.result()
    time.sleep(1)
    create_topics(settings, 1)
    produce(broker, settings.kafka.events_in, [b"new"] * number)


def read_and_commit(source: KafkaConsumer, sink: TransactionalProducer, number: int) -> list[int]:
    """Read until so many records were committed, and return their offsets."""
    seen: list[int] = []
    while len(seen) < number:
        batch = next_batch(source)
        sink.commit(None, batch.positions)
        source.committed(batch.positions)
        seen += [offset for _, offset in offsets(batch)]
    return seen


@pytest.mark.parametrize("number", [5, 20, 60])
@pytest.mark.parametrize("is_running", [True, False])
def test_a_recreated_topic_is_read_from_its_beginning(
    broker: Broker, open_source: Open, number: int, *, is_running: bool
) -> None:
    """The committed offset is the old topic's: trusting it loses what the new one has below it."""
    settings = fresh_settings(broker, partitions=1, metadata_refresh_s=1.0)
    produce(broker, settings.kafka.events_in, [b"old"] * 20)
    source, sink = open_source(settings), open_producer(settings)
    read_and_commit(source, sink, 20)
    if not is_running:
        source.close()
    recreate(broker, settings, number)
    if not is_running:
        source = open_source(settings)
    assert sorted(set(read_and_commit(source, sink, number))) == list(range(number))
    assert committed(settings) == {0: number}


@pytest.mark.parametrize(
    ("offset", "log", "why", "read"),
    [
        pytest.param(3, "another-topic", "recreated", range(5), id="of a topic that is gone"),
        pytest.param(40, "another-topic", "recreated", range(5), id="of a longer topic that is gone"),
        pytest.param(40, None, "went_backwards", range(5, 8), id="behind the end of the same log"),
    ],
)
def test_an_offset_that_means_another_log_is_not_trusted(
    broker: Broker, open_source: Open, offset: int, log: str | None, why: str, read: range
) -> None:
    """As if the commit of a batch of the old topic had come after the new one was made, or the broker had lost its log's tail."""
    settings = fresh_settings(broker, partitions=1)
    produce(broker, settings.kafka.events_in, [b"x"] * 5)
    topic_id = find_topic_id(admin(broker), settings.kafka.events_in)
    member = Consumer({"bootstrap.servers": broker.address, "group.id": settings.kafka.consumer_group})
    place = TopicPartition(settings.kafka.events_in, 0, offset, encode_log_name(log or topic_id))
    when_settled(lambda: member.commit(offsets=[place], asynchronous=False), 20)
    member.close()
    breaks: list[tuple[str, int]] = []
    source = open_source(settings)
    source._on_break = lambda why, lost: breaks.append((why, lost))
    if why == "went_backwards":
        until(lambda: bool(breaks), source)
        produce(broker, settings.kafka.events_in, [b"y"] * 3)
    batch = next_batch(source)
    assert [offset for _, offset in offsets(batch)] == list(read)
    assert breaks == [(why, 0)]
    assert batch.logs[0] == (topic_id if why == "recreated" else f"{topic_id}~1")
    open_producer(settings).commit(None, batch.positions)
    assert committed(settings) == {0: read.stop}


def test_records_that_retention_deleted_are_counted(broker: Broker, open_source: Open, caplog: pytest.LogCaptureFixture) -> None:
    settings = fresh_settings(broker, partitions=1)
    produce(broker, settings.kafka.events_in, [b"x"] * 10)
    source, sink = open_source(settings), open_producer(settings)
    read_and_commit(source, sink, 10)
    source.close()
    produce(broker, settings.kafka.events_in, [b"y"] * 50)
    place = TopicPartition(settings.kafka.events_in, 0, 35)
    client = admin(broker)
    for future in client.delete_records([place]).values():
        future.result()
    breaks: list[tuple[str, int]] = []
    again = open_source(settings)
    again._on_break = lambda why, lost: breaks.append((why, lost))
    assert read_and_commit(again, sink, 25) == list(range(35, 60))
    assert breaks == [("retention", 25)]
    (line,) = [record for record in caplog.records if "deleted before they were read" in record.message]
    assert (line.__dict__["committed"], line.__dict__["reads_from"]) == (10, 35)


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_every_compression_is_read(broker: Broker, open_source: Open, codec: str) -> None:
    settings = fresh_settings(broker, partitions=1)
    producer = Producer({"bootstrap.servers": broker.address, "compression.type": codec})
    for _ in range(50):
        producer.produce(settings.kafka.events_in, b"an event, " * 100)
    producer.flush()
    assert {record.body for record in next_batch(open_source(settings)).records} == {b"an event, " * 100}


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_a_record_that_packs_well_is_read_however_large(broker: Broker, open_source: Open, codec: str) -> None:
    """The topic judges what is packed: what comes out may be many times what it takes, and must not stall the partition."""
    settings = fresh_settings(broker, partitions=1)
    producer = Producer({"bootstrap.servers": broker.address, "compression.type": codec, "message.max.bytes": 100_000_000})
    producer.produce(settings.kafka.events_in, b"x" * 30_000_000)
    assert producer.flush(30) == 0
    assert [len(record.body) for record in next_batch(open_source(settings)).records] == [30_000_000]


def test_what_is_not_committed_is_not_read(broker: Broker, open_source: Open) -> None:
    settings = fresh_settings(broker, partitions=1)
    producer = Producer({"bootstrap.servers": broker.address, "transactional.id": settings.kafka.consumer_group})
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(settings.kafka.events_in, b"aborted")
    producer.flush()
    producer.abort_transaction(20)
    produce(broker, settings.kafka.events_in, [b"plain"])
    assert [record.body for record in next_batch(open_source(settings)).records] == [b"plain"]


def test_the_largest_record_comes_through(broker: Broker, open_source: Open) -> None:
    settings = fresh_settings(broker, partitions=1)
    produce(broker, settings.kafka.events_in, [b"small", b"x" * 10_000_000, b"small"])
    source = open_source(settings)
    seen: list[int] = []
    while len(seen) < 3:
        seen.extend(len(record.body) for record in next_batch(source).records)
    assert seen == [5, 10_000_000, 5]


def test_a_batch_is_bounded_by_count_and_bytes(broker: Broker, open_source: Open) -> None:
    settings = fresh_settings(broker, partitions=1)
    produce(broker, settings.kafka.events_in, [b"x" * 20_000] * 1_500)
    source = open_source(settings)
    sizes: list[int] = []
    while sum(sizes) < 1_500:
        sizes.append(len(next_batch(source).records))
    bounds = settings.batch
    assert max(sizes) <= bounds.max_records
    assert max(sizes) * 20_000 <= bounds.max_bytes + 20_000
    assert len(sizes) >= 1_500 * 20_000 // bounds.max_bytes


def test_a_static_member_that_comes_back_in_time_moves_no_partitions(broker: Broker, open_source: Open) -> None:
    settings = fresh_settings(broker, slot="a", static_membership=True)
    other = open_source(fresh_group(settings, slot="b"))
    returning = open_consumer(settings)
    until(lambda: len(returning.partitions) == 2 and len(other.partitions) == 2, returning, other)
    owned = other.partitions
    returning.close()
    again = open_source(settings)
    until(lambda: len(again.partitions) == 2, again, other)
    assert other.partitions == owned


def test_a_static_member_whose_slot_is_taken_ends(broker: Broker, open_source: Open) -> None:
    """Its client is dead from then on, and says so once, in a message that does not call itself fatal."""
    settings = fresh_settings(broker, slot="a", static_membership=True)
    first = open_source(settings)
    until(lambda: len(first.partitions) == 4, first)
    second = open_source(settings)
    with pytest.raises(KafkaException, match="fenced"):
        until(lambda: False, first, second)


def fresh_group(settings: Settings, *, slot: str) -> Settings:
    import msgspec

    return msgspec.structs.replace(settings, kafka=msgspec.structs.replace(settings.kafka, slot=slot))
