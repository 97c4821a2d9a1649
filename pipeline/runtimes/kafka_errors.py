"""The client's errors, as the commands say them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import KafkaException

from pipeline.model.errors import BrokerError


@contextmanager
def broker_errors(what: str) -> Iterator[None]:
    """Turn what the client raises into BrokerError, with what was tried before it."""
    try:
        yield
    except KafkaException as error:
        raise BrokerError(f"{what}: {error.args[0].str()}") from None
