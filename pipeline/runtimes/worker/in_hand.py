"""Notes what a worker is working on, in memory that its supervisor can read after the worker has died.

A note is a few writes to shared memory for each batch and stage, never for each event. Memory that two processes share outlives
the one that wrote it, even after a kill -9.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import orjson

if TYPE_CHECKING:  # the supervisor, which reads the note, loads as little as it can
    from pipeline.kafka.batch import KafkaBatch

SHARED_BYTES = 1_048_576
"""Room for a batch of some 10,000 partitions. A larger batch is not noted, so its records are never suspected."""
_HEAD = struct.Struct("<QI20s")
"""The number of notes so far, the length of the text (0: the worker has no batch), and the name of the stage."""
_STAGE_AT, _STAGE = struct.calcsize("<QI"), struct.Struct("<20s")

FIRST_STAGE = "decode"

Range = tuple[int, int]
LogPlace = tuple[str, int]
"""The name of a log, and its partition."""


@dataclass(frozen=True, slots=True)
class Hand:
    """What a worker was working on: the offsets by log and partition (first included, last excluded), and the stage."""

    ranges: dict[LogPlace, Range]
    is_alone: bool
    """Whether it was one record."""
    stage: str

    def holds(self, ranges: dict[LogPlace, Range]) -> bool:
        """Whether any of these offsets was in the batch."""
        return any(
            first < mine[1] and mine[0] < end for place, (first, end) in ranges.items() if (mine := self.ranges.get(place))
        )


def ranges_of(batch: KafkaBatch) -> dict[LogPlace, Range]:
    """Return the offsets of a batch's records by log and partition, first included and last excluded."""
    ranges: dict[LogPlace, Range] = {}
    for record in batch.records:
        partition, offset = cast("tuple[int, int]", record.position)
        place = (batch.logs[partition], partition)
        ranges[place] = (ranges[place][0] if place in ranges else offset, offset + 1)
    return ranges


class InHand:
    """The shared note. The worker's loop writes it, and the supervisor reads it. It is created before the worker is forked."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, SHARED_BYTES)
        self._notes = 0

    def take(self, batch: KafkaBatch) -> None:
        """Note the batch that the worker begins to process."""
        ranges = [[log, partition, *found] for (log, partition), found in ranges_of(batch).items()]
        text = orjson.dumps([len(batch.records), ranges])
        fits = len(text) <= SHARED_BYTES - _HEAD.size
        if fits:
            self._memory[_HEAD.size : _HEAD.size + len(text)] = text
        self._note(len(text) if fits else 0)

    def stage(self, name: bytes) -> None:
        """Note the stage that is about to run."""
        _STAGE.pack_into(self._memory, _STAGE_AT, name)

    def put_down(self) -> None:
        """Note that the worker has no batch."""
        self._note(0)

    def progress(self) -> tuple[int, bytes] | None:
        """Return a value that changes with each note, or None if the worker has no batch."""
        notes, length, stage = _HEAD.unpack_from(self._memory)
        return (notes, stage) if length else None

    def read(self) -> Hand | None:
        """Return what the worker is working on, or None if it has no batch."""
        _, length, stage = _HEAD.unpack_from(self._memory)
        if not length:
            return None
        records, ranges = orjson.loads(self._memory[_HEAD.size : _HEAD.size + length])
        places = {(log, partition): (first, end) for log, partition, first, end in ranges}
        return Hand(places, records == 1, stage.rstrip(b"\0").decode())

    def _note(self, length: int) -> None:
        self._notes += 1
        _HEAD.pack_into(self._memory, 0, self._notes, length, FIRST_STAGE.encode())
