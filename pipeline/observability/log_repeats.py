"""Rate limiting of repeated log lines."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

KAFKA_CLIENT = "librdkafka"
"""The logger of the messages that the hot path's Kafka client logs by itself."""
KAFKA_CLIENTS = ("aiokafka", KAFKA_CLIENT)
"""What the names of the Kafka clients' loggers begin with. Faust uses aiokafka."""

_REPEATING = (*KAFKA_CLIENTS, "pipeline.kafka.")
"""Loggers that have a line for each attempt to reach a broker: together some seventy lines a second while it is away."""
REPEATED_EVERY_S = 10.0
_MAX_KINDS = 1_000


class RepeatFilter(logging.Filter):
    """Drops warnings and errors about Kafka that were let through less than `REPEATED_EVERY_S` seconds ago.

    The next one that is let through has the attribute `repeats`: how many were dropped in between.
    Two lines are of one kind if they have the same logger and message, and the same Kafka error or the same first argument.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._kinds: dict[tuple[object, ...], tuple[float, int]] = {}
        """When a kind of line was last let through, and how many were dropped since then."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is logged."""
        if record.levelno < logging.WARNING or not record.name.startswith(_REPEATING):
            return True
        about = record.args[0] if isinstance(record.args, tuple) and record.args else None
        kind = (record.name, record.msg, vars(record).get("kafka_error", str(about)))
        now = self._clock()
        last, repeats = self._kinds.get(kind, (float("-inf"), 0))
        if now - last < REPEATED_EVERY_S:
            self._kinds[kind] = (last, repeats + 1)
            return False
        if len(self._kinds) >= _MAX_KINDS:
            self._kinds.clear()
        self._kinds[kind] = (now, 0)
        if repeats:
            record.repeats = repeats
        return True
