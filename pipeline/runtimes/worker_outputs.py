"""Output: one record that a worker produces, as any Kafka client takes it."""

from __future__ import annotations

from typing import NamedTuple

RECORD_OVERHEAD_BYTES = 1_000
"""What the broker's form adds to key, value and headers, generously."""


class Output(NamedTuple):
    """One record to produce."""

    topic: str
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()

    @property
    def size_bytes(self) -> int:
        """About what the broker will count."""
        size = len(self.key or b"") + len(self.value) + RECORD_OVERHEAD_BYTES
        for name, value in self.headers:
            size += len(name) + len(value) + 8
        return size
