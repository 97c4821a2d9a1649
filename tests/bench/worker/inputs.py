"""What worker benches read: recorded events under ids of their own, and generated ones, on topics of their own."""

from __future__ import annotations

import functools
import itertools
import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import Producer
from support.kafka_broker import Broker, fresh_settings

from pipeline.model.item import Item
from pipeline.rules.folder import load_rules
from pipeline.runtimes.generated_events import ingest_message
from pipeline.runtimes.recorded.readers import Inputs
from pipeline.settings.schema import RedisSettings, Settings
from pipeline.stages.decode import decode_record
from pipeline.wiring.contexts import explain_context

ROOT = Path(__file__).parents[3]
PARTITIONS = 4


def worker_settings(broker: Broker, redis_url: str) -> Settings:
    """Return settings with topics of their own."""
    settings = fresh_settings(broker, partitions=PARTITIONS)
    return msgspec.structs.replace(settings, redis=RedisSettings(url=redis_url), rules=str(ROOT / "rules"))


def recorded_bodies(count: int) -> list[bytes]:
    """Return the recorded events over and over, each with an id of its own: equal ones would be duplicates."""
    recorded = itertools.cycle(_recorded())
    return [
        ingest_message({**event, "event_id": uuid.uuid4().hex}, 1 + number % 5)[1]
        for number, event in zip(range(count), recorded, strict=False)
    ]


def fill(settings: Settings, bodies: Iterable[bytes]) -> None:
    """Put them on the input topic, as many on each partition."""
    producer = Producer({"bootstrap.servers": settings.kafka.brokers, "compression.type": "lz4", "linger.ms": 20})
    for number, body in enumerate(bodies):
        while True:
            try:
                producer.produce(settings.kafka.events_in, body, partition=number % PARTITIONS)
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush()


@functools.cache
def _recorded() -> list[dict[str, Any]]:
    now = time.time()
    context = explain_context(Settings(), load_rules(ROOT / "rules"), now=now)
    records = Inputs([str(ROOT / "tests/fixtures/recorded")], now=now)
    return [item.event for record in records for item in decode_record(record, context) if isinstance(item, Item)]
