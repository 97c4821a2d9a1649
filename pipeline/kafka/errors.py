"""Turns errors of the Kafka client into messages for people."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException

from pipeline.model.errors import BrokerError

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

SETTLING = frozenset(
    {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    }
)
"""Errors that pass by themselves: the partition or group was just created, or is moving to another broker."""
_SILENT = frozenset(
    {KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT, KafkaError._MSG_TIMED_OUT, KafkaError._RESOLVE}  # noqa: SLF001 -- the client's names
)
_NO_TOPIC = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC})  # noqa: SLF001 -- likewise
ASK_AGAIN_S = 0.1


@contextmanager
def broker_errors(what: str) -> Iterator[None]:
    """Turn the client's exceptions into BrokerError. `what` names the operation that failed."""
    try:
        yield
    except KafkaException as error:
        reason = error.args[0]
        hint = ""
        if reason.code() in _SILENT:
            hint = " (no answer from kafka.brokers, PIPELINE_KAFKA_BROKERS)"
        elif reason.code() in _NO_TOPIC:
            hint = " (pipeline topics check names what is missing)"
        raise BrokerError(f"{what}: {reason.str()}{hint}") from None


def when_settled(ask: Callable[[], Answer], within_s: float) -> Answer:
    """Call `ask` until it succeeds or fails with an error that is not in SETTLING. Raises KafkaException."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            return ask()
        except KafkaException as error:
            if error.args[0].code() not in SETTLING or time.monotonic() > deadline:
                raise
        time.sleep(ASK_AGAIN_S)


def note_error(error: KafkaError) -> None:
    """Log an error after which the client goes on."""
    log.warning("kafka: %s", error.str(), extra={"kafka_error": error.name()})
