"""Output: one record to produce, as any Kafka client takes it; the topic is known to whoever produces it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Output(NamedTuple):
    """A record's key, value and headers."""

    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]


Outputs = Mapping[str, Sequence[Output]]
"""Records to produce, by topic."""
