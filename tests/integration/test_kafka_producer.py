from __future__ import annotations

import contextlib
import itertools
import os
import time

import msgspec
import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import NewTopic
from support.kafka_broker import Broker, admin, fresh_settings, open_producer, read_all

from pipeline.kafka.batch import KafkaPositions
from pipeline.kafka.config import transactional_id
from pipeline.kafka.producer import TransactionalProducer
from pipeline.model.errors import CommitError, SlotTakenError
from pipeline.model.record import Output, Outputs
from pipeline.settings.schema import KafkaSettings, Settings

pytestmark = pytest.mark.kafka


def commit(sink: TransactionalProducer, settings: Settings, outputs: Outputs, end: int = 1) -> None:
    """Commit with the metadata of a consumer in no group: only the sink is under test."""
    consumer = Consumer({"bootstrap.servers": settings.kafka.brokers, "group.id": settings.kafka.consumer_group})
    try:
        sink.commit(outputs, KafkaPositions(settings.kafka.events_in, {0: end}, consumer.consumer_group_metadata()))
    finally:
        consumer.close()


def event(settings: Settings, value: bytes = b"event") -> dict[str, list[Output]]:
    return {settings.kafka.events_out: [Output(b"1", value, [("operation", b"insert")])]}


class SleepySink(TransactionalProducer):
    """Sleeps once inside its transaction."""

    naps_s = 0.0

    def produce(self, producer: Producer, outputs: Outputs, deadline: float) -> None:
        super().produce(producer, outputs, deadline)
        producer.flush()
        time.sleep(self.naps_s)
        self.naps_s = 0.0


def test_a_sleep_past_the_time_out_fences_and_a_new_producer_goes_on(broker: Broker) -> None:
    patient = fresh_settings(broker)
    commit(open_producer(patient), patient, event(patient))  # a new broker's coordinator takes longer than the second below
    settings = fresh_settings(broker, transaction_timeout_s=1.0, slot="a")
    sink = SleepySink(settings.kafka, transactional_id(settings.kafka, settings.kafka.consumer_group))
    sink.naps_s = 13.0  # the time-out, and the broker's sweep of 10 s
    with pytest.raises(CommitError):
        commit(sink, settings, event(settings, b"too late"))
    commit(sink, settings, event(settings, b"in time"))
    assert [message.value() for message in read_all(broker, settings.kafka.events_out)] == [b"in time"]


def test_a_restarted_slot_ends_what_its_former_life_left_open(broker: Broker) -> None:
    """With another id, readers would wait for the time-out, which is ten minutes here."""
    settings = fresh_settings(broker, slot="a")
    killed = Producer(
        {
            "bootstrap.servers": broker.address,
            "transactional.id": f"{settings.kafka.consumer_group}-a",
            "transaction.timeout.ms": 600_000,
        }
    )
    killed.init_transactions(20)
    killed.begin_transaction()
    killed.produce(settings.kafka.events_out, b"left open")
    killed.flush()
    commit(open_producer(settings), settings, event(settings))
    assert [message.value() for message in read_all(broker, settings.kafka.events_out)] == [b"event"]


def test_a_refused_record_aborts_all_and_the_next_batch_commits(broker: Broker) -> None:
    settings = fresh_settings(broker)
    sink = open_producer(settings)
    client, name = admin(broker), f"small-{settings.kafka.events_out}"
    client.create_topics([NewTopic(name, 1, 1, config={"max.message.bytes": "1000"})])[name].result()
    too_large = {name: [Output(None, os.urandom(5_000), [])]}
    with pytest.raises(CommitError, match="too large"):
        commit(sink, settings, event(settings) | too_large)
    assert read_all(broker, settings.kafka.events_out) == []
    commit(sink, settings, event(settings))
    assert len(read_all(broker, settings.kafka.events_out)) == 1


def test_two_workers_on_one_slot_do_not_fight_for_ever(broker: Broker) -> None:
    settings = fresh_settings(broker, slot="a")
    ours, theirs = open_producer(settings), open_producer(settings)
    commit(ours, settings, event(settings))

    def fight() -> None:
        # Who is fenced off registers anew in its next turn, and is itself fenced some turns later.
        deadline = time.monotonic() + 60
        for sink in itertools.cycle((theirs, ours)):
            assert time.monotonic() < deadline, "they fight for ever"
            with contextlib.suppress(CommitError):
                commit(sink, settings, event(settings))

    with pytest.raises(SlotTakenError):
        fight()
    ours.close()  # what is raised here would hide the reason
    theirs.close()


def test_headers_and_keys_arrive(broker: Broker) -> None:
    settings = fresh_settings(broker)
    commit(open_producer(settings), settings, event(settings))
    (message,) = read_all(broker, settings.kafka.events_out)
    assert (message.key(), message.value(), message.headers()) == (b"1", b"event", [("operation", b"insert")])


def test_without_a_broker_a_commit_says_so_and_memory_is_bounded() -> None:
    settings = Settings(kafka=KafkaSettings(brokers="127.0.0.1:1", transaction_timeout_s=1.0))
    errors: list[str] = []
    sink = TransactionalProducer(settings.kafka, "nobody", errors.append)
    with pytest.raises(CommitError, match="no transactions yet"):
        sink.commit(event(settings), KafkaPositions("in", {0: 1}, b""))
    assert errors


def test_every_worker_without_a_slot_has_its_own_transactional_id() -> None:
    kafka = KafkaSettings()
    assert transactional_id(kafka, "g") != transactional_id(kafka, "g")
    named = msgspec.structs.replace(kafka, slot="a")
    assert transactional_id(named, "g") == transactional_id(named, "g")


def test_a_dead_letter_larger_than_any_event_may_be_goes_out(broker: Broker) -> None:
    settings = fresh_settings(broker, max_output_bytes=30_000)
    letter = {settings.kafka.dead_letters: [Output(None, os.urandom(10_500_000), [])]}
    commit(open_producer(settings), settings, event(settings) | letter)
    assert [len(message) for message in read_all(broker, settings.kafka.dead_letters)] == [10_500_000]
