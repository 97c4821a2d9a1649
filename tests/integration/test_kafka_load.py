"""Load on a real broker: what it says was sent has arrived."""

from __future__ import annotations

import msgspec
import pytest
from confluent_kafka import KafkaError, KafkaException
from support.kafka_broker import Broker, fresh_settings, read_all, set_topic

from pipeline.kafka.load import produce
from pipeline.settings.schema import KafkaSettings

pytestmark = pytest.mark.kafka


def load(kafka: KafkaSettings, number: int) -> int:
    messages = ((b"key", b"x" * 1_000) for _ in range(number))
    return produce(messages, kafka, per_second=None, on_progress=lambda *_: None)


def test_all_arrive(broker: Broker) -> None:
    settings = fresh_settings(broker)
    assert load(settings.kafka, 2_500) == 2_500
    assert len(read_all(broker, settings.kafka.events_in)) == 2_500


def test_a_topic_that_is_not_there_is_said(broker: Broker) -> None:
    kafka = msgspec.structs.replace(fresh_settings(broker).kafka, events_in="nobody-made-this")
    with pytest.raises(KafkaException) as raised:
        load(kafka, 1)
    assert raised.value.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART


def test_what_the_broker_refuses_was_not_sent(broker: Broker) -> None:
    settings = fresh_settings(broker)
    set_topic(broker, settings.kafka.events_in, "max.message.bytes", "100")
    with pytest.raises(KafkaException) as raised:
        load(settings.kafka, 10)
    assert raised.value.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE
