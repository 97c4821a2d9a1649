"""Load: produce ingest messages at a set rate, for trying things out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from confluent_kafka import Producer

from pipeline.runtimes.kafka_config import producer_config
from pipeline.settings import Kafka

REPORT_EVERY_S = 1.0


def produce(
    messages: Iterable[tuple[bytes, bytes]], kafka: Kafka, *, per_second: float | None, on_progress: Callable[[int, float], None]
) -> int:
    """Produce (key, value) pairs to the input topic, as fast as the broker takes them or at a rate; gives how many.

    `on_progress` is told the number so far and the seconds taken.
    """
    producer = Producer(producer_config(kafka))
    started = time.monotonic()
    next_report = started + REPORT_EVERY_S
    sent = 0
    for key, value in messages:
        while True:
            try:
                producer.produce(kafka.events_in, value, key)
                break
            except BufferError:
                producer.poll(0.1)
        sent += 1
        now = time.monotonic()
        if per_second is not None and (ahead_s := sent / per_second - (now - started)) > 0:
            producer.poll(0)
            time.sleep(ahead_s)
        elif sent % 1_000 == 0:
            producer.poll(0)
        if now >= next_report:
            next_report = now + REPORT_EVERY_S
            on_progress(sent, now - started)
    producer.flush()
    on_progress(sent, time.monotonic() - started)
    return sent
