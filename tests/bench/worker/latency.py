"""Time from raw to stored: from produce to what a committed reader sees, at 10 events/s."""

from __future__ import annotations

import itertools
import threading
import time

import orjson
from bench.worker.inputs import worker_settings
from bench.worker.subjects import make_worker
from confluent_kafka import Consumer, Producer
from support.kafka_broker import Broker

from pipeline.runtimes.generated_events import generate_events, ingest_message

PER_SECOND = 10
WARM_UP_EVENTS = 30


def measure_latency(broker: Broker, redis_url: str, seconds: int) -> None:
    """Print the percentiles over so many seconds."""
    settings = worker_settings(broker, redis_url)
    _, _, worker = make_worker(settings)
    thread = threading.Thread(target=worker.run)
    thread.start()
    reader = Consumer(
        {
            "bootstrap.servers": broker.address,
            "group.id": settings.kafka.consumer_group + "-reader",
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 10,
        }
    )
    reader.subscribe([settings.kafka.events_out])
    producer = Producer({"bootstrap.servers": broker.address, "linger.ms": 0})
    sent: dict[str, float] = {}
    seen: dict[str, float] = {}
    events, wanted = generate_events(1), seconds * PER_SECOND + WARM_UP_EVENTS
    started = time.monotonic()
    while len(seen) < wanted and time.monotonic() - started < seconds + 60:
        if len(sent) < wanted and time.monotonic() - started >= len(sent) / PER_SECOND:
            key, body = ingest_message(next(events), 1)
            sent[key.hex()] = time.monotonic()
            producer.produce(settings.kafka.events_in, body)
            producer.poll(0)
        message = reader.poll(0.002)
        if message is not None and message.error() is None:
            seen[orjson.loads(message.value() or b"")[2]["event_id"]] = time.monotonic()
    worker.stop()
    thread.join()
    times = sorted((seen[event_id] - moment) * 1e3 for event_id, moment in itertools.islice(sent.items(), WARM_UP_EVENTS, None))
    at = {share: times[min(len(times) - 1, int(len(times) * share))] for share in (0.5, 0.9, 0.99)}
    print(f"{len(times)} events at {PER_SECOND}/s: " + ", ".join(f"p{share * 100:.0f} {ms:.0f} ms" for share, ms in at.items()))
