"""Nothing acknowledged is lost, nothing is read twice or out of order, whatever a process or a disk does at any call."""

from __future__ import annotations

import contextlib
import errno
import random
from concurrent.futures import Future
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.lossy_files import Crash, LossyFiles

from pipeline.spool import segment, spool
from pipeline.spool.errors import SpoolError
from pipeline.spool.spool import Spool
from pipeline.spool.writer import NewRecord, SegmentWriter


class RoundsInPlace:
    """The writing thread's work, done by whoever asks for it: a model of crashes needs one thread."""

    def __init__(self, writer: SegmentWriter) -> None:
        self._writer = writer
        self.last_s = 0.0
        self.written = 0
        self.failure: str | None = None
        self.waiting: list[NewRecord] = []

    def add(self, record: NewRecord) -> Future[None]:
        self.waiting.append(record)
        return Future()

    def write(self) -> None:
        records, self.waiting = self.waiting, []
        self._writer.write(records)

    def start_segment(self, drained_at: segment.SpoolPosition) -> segment.SpoolPosition:
        if drained_at == self._writer.end:
            with contextlib.suppress(OSError):
                self._writer.start_segment()
                return self._writer.end
        return drained_at

    def wait(self, _is_met: object, _seconds: float) -> bool:
        return True

    def close(self) -> None:
        pass


class World:
    """A spool over its lives, and what became of every record. `shipped` and `committed` change together, as in a transaction."""

    def __init__(self, seed: int) -> None:
        self.files = LossyFiles(random.Random(seed))
        self.acknowledged: list[int] = []
        self.shipped: list[int] = []
        self.committed = segment.SpoolPosition(0, 0)
        self.number = 0
        self.spool: Spool | None = None

    def open(self) -> Spool:
        if self.spool is None:
            self.spool = Spool(self.files, segment_bytes=400)
            self.reader = self.spool.reader(self.committed)
        return self.spool

    def append(self, count: int, large: int) -> None:
        opened = self.open()
        numbers = []
        for index in range(count):
            self.number += 1
            numbers.append(self.number)
            if index == large:
                body = opened.stage()
                body.write(b"large " * 10)
                body.finish()
                opened.append(str(self.number).encode(), body)
            else:
                opened.append(str(self.number).encode(), b"x" * (self.number % 50))
        rounds: Any = opened._rounds
        rounds.write()
        self.acknowledged += numbers

    def ship(self) -> bool:
        opened = self.open()
        batch = self.reader.read(3, 100_000)
        if batch is None:
            return False
        for record in batch.records:
            body = b"".join(record.pieces())
            assert body in (b"large " * 10, b"x" * (int(record.head) % 50))
        self.shipped += [int(record.head) for record in batch.records]
        self.committed = batch.end
        opened.committed(batch.end)
        return True

    def end_of_process(self, *, power: bool) -> None:
        self.spool = None
        (self.files.lose_power if power else self.files.kill)()


STEPS = st.one_of(
    st.tuples(st.just("append"), st.integers(1, 5), st.integers(0, 6)),
    st.tuples(st.just("ship")),
    st.tuples(st.sampled_from(["kill", "power"])),
    st.tuples(st.sampled_from(["kill at", "power at", "full at", "broken at"]), st.integers(0, 12)),
)


@pytest.fixture(autouse=True)
def _in_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "_Rounds", RoundsInPlace)
    monkeypatch.setattr(spool, "DRAINED_BYTES", 300)


@settings(max_examples=400)
@given(seed=st.integers(0, 1 << 30), steps=st.lists(STEPS, max_size=40))
def test_what_is_acknowledged_is_read_once_and_in_order(seed: int, steps: list[tuple[Any, ...]]) -> None:
    world = World(seed)
    is_power_loss = False
    for step, *numbers in [*steps, ("settle",)]:
        try:
            match step:
                case "append":
                    world.append(*numbers)
                case "ship":
                    world.ship()
                case "kill" | "power":
                    world.end_of_process(power=step == "power")
                case "kill at" | "power at":
                    is_power_loss = step == "power at"
                    world.files.fail_after(numbers[0])
                case "full at" | "broken at":
                    world.files.fail_after(numbers[0], errno.ENOSPC if step == "full at" else errno.EIO)
                case "settle":
                    world.files.fail_after(None)
                    while world.ship():
                        pass
        except Crash:
            world.end_of_process(power=is_power_loss)
        except (SpoolError, OSError):
            rounds: Any = world.spool and world.spool._rounds
            if rounds:
                rounds.waiting.clear()
    assert sorted(set(world.acknowledged) - set(world.shipped)) == []
    assert world.shipped == sorted(set(world.shipped))


def test_the_model_finds_a_spool_that_does_not_sync() -> None:
    """The property can fail: without fdatasync, records are lost."""

    def histories() -> bool:
        for seed in range(60):
            world = World(seed)
            world.files.sync = lambda handle: None  # type: ignore[method-assign]  # noqa: ARG005 -- a sync that does nothing
            world.append(3, 9)
            world.end_of_process(power=True)
            while world.ship():
                pass
            if set(world.acknowledged) - set(world.shipped):
                return True
        return False

    assert histories()


def test_the_model_finds_a_spool_that_does_not_sync_its_folder() -> None:
    def histories() -> bool:
        for seed in range(60):
            world = World(seed)
            world.files.sync_folder = lambda: None  # type: ignore[method-assign]  # a sync that does nothing
            world.append(3, 1)
            world.end_of_process(power=True)
            while world.ship():
                pass
            if set(world.acknowledged) - set(world.shipped):
                return True
        return False

    assert histories()
