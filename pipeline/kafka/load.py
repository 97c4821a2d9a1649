"""Load: produce ingest messages at a set rate, for trying things out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from pipeline.kafka.config import producer_config
from pipeline.settings.schema import KafkaSettings

REPORT_EVERY_S = 1.0
DELIVERED_WITHIN_MS = 30_000
"""A broker that is away for longer ends the command: the client's own five minutes would look like work."""
FLUSH_POLL_S = 0.02
"""Between two looks at what is still on its way: the client's own `flush` takes Ctrl-C for a bug of its caller's."""
APPEARS_WITHIN_MS = 5_000
"""A topic that was just created is unknown for a moment; one that is unknown for longer is missing."""


def produce(
    messages: Iterable[tuple[bytes, bytes]],
    kafka: KafkaSettings,
    *,
    per_second: float | None,
    on_progress: Callable[[int, float], None],
) -> int:
    """Produce (key, value) pairs to the input topic, as fast as the broker takes them or at a rate. Return how many.

    `on_progress` is told the number so far and the seconds taken. Raises KafkaException once one is known not to have arrived.
    """
    producer = Producer(
        producer_config(kafka)
        | {
            "delivery.timeout.ms": DELIVERED_WITHIN_MS,
            "topic.metadata.propagation.max.ms": APPEARS_WITHIN_MS,
            "delivery.report.only.error": True,
        }
    )
    started = time.monotonic()
    next_report = started + REPORT_EVERY_S
    sent = 0
    for key, value in messages:
        while True:
            try:
                producer.produce(kafka.events_in, value, key, on_delivery=_refuse)
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
    while len(producer):
        producer.poll(0)
        time.sleep(FLUSH_POLL_S)
    on_progress(sent, time.monotonic() - started)
    return sent


def _refuse(error: KafkaError | None, _: Message) -> None:
    """Raise from the `poll` or `flush` that learns of it."""
    if error is not None:
        raise KafkaException(error)
