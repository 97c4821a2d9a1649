"""Lag: how far behind a worker is, in records and in seconds, by partition."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple


class PartitionLag(NamedTuple):
    """`records` is a difference of offsets: gaps in them count. `age_s` is how old the oldest unread record is at least."""

    records: int
    age_s: float


class Lag:
    """What was read, and where the partitions end."""

    def __init__(self) -> None:
        self._read: dict[int, tuple[int, float]] = {}
        self._ends: dict[int, int] = {}

    def read(self, partition: int, offset: int, timestamp_s: float) -> None:
        """Note a record that came; the last one of a partition counts."""
        self._read[partition] = (offset + 1, timestamp_s)

    def saw_ends(self, ends: Mapping[int, int]) -> None:
        """Note the offsets that come next; a negative one is not known yet."""
        self._ends |= {partition: end for partition, end in ends.items() if end >= 0}

    def forget(self, partitions: Iterable[int]) -> None:
        """Drop partitions that are no longer ours."""
        for partition in partitions:
            self._read.pop(partition, None)
            self._ends.pop(partition, None)

    def by_partition(self, now: float) -> dict[int, PartitionLag]:
        """Give the lag of each partition that something was read of."""
        lags = {}
        for partition, (position, timestamp_s) in self._read.items():
            behind = max(0, self._ends.get(partition, position) - position)
            lags[partition] = PartitionLag(behind, max(0.0, now - timestamp_s) if behind else 0.0)
        return lags
