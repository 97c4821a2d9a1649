"""Lag: how far what is committed is behind the end, in records and in seconds, by partition."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple


class PartitionLag(NamedTuple):
    """`records` is a difference of offsets: gaps in them count. `age_s` is how old the next record is, about."""

    records: int
    age_s: float


@dataclass(slots=True)
class _Place:
    committed: int
    committed_at: float
    """When the last committed record arrived; at first, when the first one read did."""
    read_at: float
    end: int = -1


class Lag:
    """Where partitions stand. One is known from the first record that was read of it."""

    def __init__(self) -> None:
        self._places: dict[int, _Place] = {}

    def read(self, partition: int, offset: int, timestamp_s: float) -> None:
        """Note a record that came; `timestamp_s` is its arrival."""
        place = self._places.get(partition)
        if place is None:
            self._places[partition] = _Place(offset, timestamp_s, timestamp_s)
        else:
            place.read_at = timestamp_s

    def committed(self, ends: Mapping[int, int]) -> None:
        """Note what was committed: all that was read of these partitions."""
        for partition, end in ends.items():
            place = self._places.get(partition)
            if place is not None:
                place.committed, place.committed_at = end, place.read_at

    def saw_ends(self, ends: Mapping[int, int]) -> None:
        """Note the offsets that come next; a negative one is not known yet."""
        for partition, end in ends.items():
            if partition in self._places and end >= 0:
                self._places[partition].end = end

    def forget(self, partitions: Iterable[int]) -> None:
        """Drop partitions that are no longer ours."""
        for partition in partitions:
            self._places.pop(partition, None)

    def by_partition(self, now: float) -> dict[int, PartitionLag]:
        """Give the lag of each partition that is known."""
        lags = {}
        for partition, place in self._places.items():
            behind = max(0, place.end - place.committed)
            lags[partition] = PartitionLag(behind, max(0.0, now - place.committed_at) if behind else 0.0)
        return lags
