"""The sink, interrupted after every step, with a model of Kafka's offsets and of ClickHouse's tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import pytest

from pipeline.clickhouse.errors import AwayError, RefusedError
from pipeline.kafka.batch import Headers, KafkaPositions
from pipeline.kafka.start import parse_end
from pipeline.model.dead_letter import DeadLetter
from pipeline.model.errors import CommitError
from pipeline.model.record import Form, Output, Outputs, Record, Token
from pipeline.store.sink import WRITTEN_WITHIN_S, StoreSink
from pipeline.store.work import StoreResult, Stretch


class KilledError(BaseException):
    """The process ends here."""


@dataclass
class World:
    """What outlives a process: committed offsets with their metadata, rows with their tokens, dead letters."""

    kill_after: int = -1
    steps: int = 0
    offsets: dict[int, tuple[int, str]] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)
    rows: Counter[str] = field(default_factory=Counter)
    letters: list[bytes] = field(default_factory=list)

    def step(self) -> None:
        self.steps += 1
        if self.steps - 1 == self.kill_after:
            raise KilledError

    def commit(self, ends: Mapping[int, int], metadata: Mapping[int, str]) -> None:
        self.step()
        self.offsets |= {partition: (end, metadata[partition]) for partition, end in ends.items()}
        self.step()

    def write(self, stretch: Stretch[str], token: str) -> list[int]:
        self.step()
        if token not in self.tokens:
            self.tokens.add(token)
            self.rows.update(stretch.rows)
        self.step()
        return []


@dataclass
class Transactions:
    world: World

    def commit(self, outputs: Outputs | None, positions: KafkaPositions) -> None:
        self.world.step()
        self.world.letters += [output.value for outputs_of in (outputs or {}).values() for output in outputs_of]
        self.world.offsets |= {partition: (end, positions.metadata[partition]) for partition, end in positions.ends.items()}
        self.world.step()

    def close(self) -> None:
        """Nothing is open."""


def letter_of(letter: DeadLetter, _: Headers) -> Output:
    return Output(None, letter.record.body, [])


def sink_of(world: World, **more: Any) -> StoreSink[str]:
    return StoreSink(world, Transactions(world), more.pop("write", world.write), letter_of, "dlq", **more)


def record_of(partition: int, offset: int) -> Record:
    return Record(b"%d/%d" % (partition, offset), Form.JSON, "t", (partition, offset), 0.0, Token("log", partition, offset))


def batch(bases: Mapping[int, int], ends: Mapping[int, int], *, is_redo: bool = False) -> tuple[StoreResult[str], KafkaPositions]:
    """Return what the work makes of the records in bounds: each seventh is dead."""
    stretches: dict[int, Stretch[str]] = {}
    dead = []
    for partition, end in ends.items():
        stretch = stretches[partition] = Stretch()
        for offset in range(bases[partition], end):
            if offset % 7 == 3:
                dead.append(DeadLetter(record_of(partition, offset), "store", "invalid_json"))
            else:
                stretch.rows.append(f"{partition}/{offset}")
                stretch.records.append(record_of(partition, offset))
    metadata = dict.fromkeys(ends, "log=log")
    positions = KafkaPositions("t", ends, None, metadata, bases, dict.fromkeys(ends, "log"), is_redo)
    return StoreResult(stretches, dead, MappingProxyType({})), positions


def live(world: World, log_ends: Mapping[int, int]) -> None:
    """One life of a store: it repeats what was being written, and then reads on in batches of its own size."""
    sink = sink_of(world)
    for partition, (base, metadata) in sorted(world.offsets.items()):
        end = parse_end(metadata)
        if end is not None:
            sink.commit(*batch({partition: base}, {partition: end}, is_redo=True))
    bases = {partition: world.offsets.get(partition, (0, ""))[0] for partition in log_ends}
    size = 5 + world.kill_after % 4
    while open_ends := {
        partition: min(bases[partition] + size, end) for partition, end in log_ends.items() if bases[partition] < end
    }:
        sink.commit(*batch(bases, open_ends))
        bases |= open_ends


@pytest.mark.parametrize("first", range(30))
@pytest.mark.parametrize("second", [0, 1, 2, 3, 5, 7])
def test_every_row_is_stored_once_wherever_two_lives_end(first: int, second: int) -> None:
    world, log_ends = World(), {0: 23, 1: 17}
    for kill_after in (first, second, -1):
        world.steps, world.kill_after = 0, kill_after
        try:
            live(world, log_ends)
        except KilledError:
            continue
    every = {(partition, offset) for partition, end in log_ends.items() for offset in range(end)}
    assert world.rows == {f"{partition}/{offset}": 1 for partition, offset in every if offset % 7 != 3}
    assert sorted(world.letters) == sorted(b"%d/%d" % place for place in every if place[1] % 7 == 3)
    assert world.offsets == {0: (23, "log=log"), 1: (17, "log=log")}


@pytest.mark.parametrize("error", [AwayError("gone"), RefusedError("no such table")])
def test_a_database_that_fails_leaves_the_bounds_and_no_new_offset(error: Exception) -> None:
    world = World()

    def write(_: Stretch[str], __: str) -> list[int]:
        raise error

    with pytest.raises(CommitError):
        sink_of(world, write=write).commit(*batch({0: 0}, {0: 5}))
    assert world.offsets == {0: (0, "log=log to=5")}


def test_a_process_that_slept_does_not_insert() -> None:
    world = World()
    clock = iter([0.0, WRITTEN_WITHIN_S + 1])
    with pytest.raises(CommitError):
        sink_of(world, monotonic=lambda: next(clock)).commit(*batch({0: 0}, {0: 5}))
    assert not world.rows


def test_a_row_that_cannot_be_read_is_a_dead_letter() -> None:
    world = World()
    sink_of(world, write=lambda _, __: [1]).commit(*batch({0: 0}, {0: 3}))
    assert world.letters == [b"0/1"]
    assert world.offsets == {0: (3, "log=log")}


def test_offsets_alone_are_committed_without_bounds() -> None:
    world = World()
    _, positions = batch({0: 0}, {0: 5})
    sink_of(world).commit(None, positions)
    assert world.offsets == {0: (5, "log=log")}
    assert world.steps == 2
