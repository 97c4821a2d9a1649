"""Produces ingest messages at a set rate, for `pipeline load`."""

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
    """Produce (key, value) pairs to the input topic, as fast as the broker takes them or at a rate. Return how many arrived.

    `on_progress` is called once a second with the number that the broker has acknowledged so far, and the seconds taken. What is
    still in the client's queue does not count. Raises KafkaException once one is known not to have arrived.
    """
    producer = Producer(
        producer_config(kafka)
        | {"delivery.timeout.ms": DELIVERED_WITHIN_MS, "topic.metadata.propagation.max.ms": APPEARS_WITHIN_MS}
    )
    started = time.monotonic()
    next_report = started + REPORT_EVERY_S
    arrived = 0

    def delivered(error: KafkaError | None, _: Message) -> None:
        """Count a message, or raise from the `poll` that learns of its failure."""
        nonlocal arrived
        if error is not None:
            raise KafkaException(error)
        arrived += 1

    def report() -> None:
        nonlocal next_report
        now = time.monotonic()
        if now >= next_report:
            next_report = now + REPORT_EVERY_S
            on_progress(arrived, now - started)

    for queued, (key, value) in enumerate(messages, 1):
        while True:
            try:
                producer.produce(kafka.events_in, value, key, on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.1)
                report()
        if per_second is not None and (ahead_s := queued / per_second - (time.monotonic() - started)) > 0:
            producer.poll(0)
            time.sleep(ahead_s)
        elif queued % 1_000 == 0:
            producer.poll(0)
        report()
    while len(producer):
        producer.poll(0)
        report()
        time.sleep(FLUSH_POLL_S)
    on_progress(arrived, time.monotonic() - started)
    return arrived
