"""Output: one record that a worker produces, as any Kafka client takes it."""

from __future__ import annotations

from typing import NamedTuple


class Output(NamedTuple):
    """One record to produce."""

    topic: str
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()
