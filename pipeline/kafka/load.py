"""Produces ingest messages at a set rate, for `pipeline load`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from pipeline.kafka.config import producer_config
from pipeline.settings.schema import KafkaSettings

REPORT_EVERY_S = 1.0
DELIVERED_WITHIN_MS = 30_000
"""If the broker is away for longer, the command ends. The client's default is five minutes, in which it would seem to work."""
FLUSH_POLL_S = 0.02
"""Pause between checks for outstanding messages. The client's own `flush` reports Ctrl-C as an error of its caller."""
APPEARS_WITHIN_MS = 5_000
"""A topic that was just created may be unknown for this long. One that is unknown for longer does not exist."""


def produce(
    messages: Iterable[tuple[bytes, bytes]],
    kafka: KafkaSettings,
    *,
    per_second: float | None,
    on_progress: Callable[[int, float], None],
) -> int:
    """Produce (key, value) pairs to the input topic, and return how many were delivered.

    `per_second` is the rate; None means as fast as the broker takes them.

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
        """Count a delivered message. Raises KafkaException from within `poll` for one that failed."""
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
