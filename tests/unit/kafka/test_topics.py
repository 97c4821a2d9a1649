from __future__ import annotations

import msgspec
import pytest

from pipeline.kafka.config import worker_producer_config
from pipeline.kafka.topics import outcome_topics, wanted_topics
from pipeline.settings.schema import InputSettings, KafkaSettings, Settings


@pytest.mark.parametrize("max_output_bytes", [500_000, 25_000_000, 90_000_000])
@pytest.mark.parametrize("max_record_bytes", [100_000, 10_000_000])
def test_every_topic_that_a_worker_writes_takes_its_largest_request(max_output_bytes: int, max_record_bytes: int) -> None:
    """A request that a topic refuses would abort its batch again and again."""
    kafka = KafkaSettings(max_output_bytes=max_output_bytes, outcomes_billing="billing")
    settings = msgspec.structs.replace(Settings(), kafka=kafka, input=InputSettings(max_record_bytes=max_record_bytes))
    request_bytes = worker_producer_config(kafka, "id")["batch.size"]
    taken = {topic.name: topic.at_least["max.message.bytes"] for topic in wanted_topics(settings)}
    for name in (kafka.events_out, kafka.outcomes, "billing", kafka.dead_letters):
        assert taken[name] >= request_bytes


def test_a_billing_topic_is_one_more_unless_it_is_the_same() -> None:
    assert outcome_topics(KafkaSettings()) == ["outcomes"]
    assert outcome_topics(KafkaSettings(outcomes_billing="billing")) == ["outcomes", "billing"]
    assert outcome_topics(KafkaSettings(outcomes_billing="outcomes")) == ["outcomes"]
    names = [topic.name for topic in wanted_topics(Settings(kafka=KafkaSettings(outcomes_billing="outcomes")))]
    assert len(names) == len(set(names)) == 6


def test_events_carry_the_time_at_which_they_were_stored() -> None:
    (events,) = (topic for topic in wanted_topics(Settings()) if topic.name == "events")
    assert events.config()["message.timestamp.type"] == "LogAppendTime"
