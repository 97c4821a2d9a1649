"""What the supervisor makes of a worker's end. Its processes are tried in tests/integration/test_deadly_records.py."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from support.records import kafka_batch as batch

from pipeline.runtimes.worker.in_hand import InHand
from pipeline.runtimes.worker.supervisor import LOOK_EVERY_S, HangWatch, Supervisor, count_out_of_memory_kills


@pytest.mark.parametrize(
    ("code", "is_own_doing", "ends_with"),
    [
        (0, False, 0),
        (1, False, 1),
        (2, False, 2),
        (130, False, 130),
        (77, True, 77),
        (-signal.SIGKILL, False, 137),
        (-signal.SIGTERM, False, 143),
        (-signal.SIGSEGV, True, 139),
        (-signal.SIGABRT, True, 134),
        (-signal.SIGBUS, True, 135),
    ],
)
def test_only_a_death_by_its_own_work_starts_a_new_worker(code: int, ends_with: int, *, is_own_doing: bool) -> None:
    in_hand = InHand()
    supervisor = Supervisor(in_hand, 100)
    assert supervisor._judge(code) == ends_with, "with nothing in hand nobody is to blame"
    in_hand.take(batch(3, 5))
    assert supervisor._judge(code) == (None if is_own_doing else ends_with)
    assert len(supervisor.suspects.deaths) == is_own_doing


def test_a_worker_that_was_told_to_end_dies_of_no_record() -> None:
    in_hand = InHand()
    supervisor = Supervisor(in_hand, 100)
    in_hand.take(batch(3, 5))
    supervisor._pass_on(signal.SIGTERM, None)
    assert supervisor._judge(-signal.SIGSEGV) == 1
    assert supervisor._judge(-signal.SIGTERM) == 0
    assert supervisor._judge(0) == 0
    assert supervisor.suspects.deaths == ()


def test_a_hang_is_no_progress_for_long_enough() -> None:
    watch = HangWatch(2.0)
    looks = round(2.0 / LOOK_EVERY_S)
    hangs = [watch.is_hanging((1, b"group"), is_stopped=False) for _ in range(looks + 1)]
    assert hangs == [False] * looks + [True]


def test_progress_a_stop_from_outside_and_empty_hands_are_no_hang() -> None:
    watch = HangWatch(1.0)
    assert not any(watch.is_hanging((number, b"group"), is_stopped=False) for number in range(100))
    assert not any(watch.is_hanging((1, name), is_stopped=False) for name in (b"scrub", b"group") * 50)
    assert not any(watch.is_hanging((1, b"group"), is_stopped=True) for _ in range(100))
    assert not any(watch.is_hanging(None, is_stopped=False) for _ in range(100))


def test_kills_for_memory_are_counted_by_the_control_group(tmp_path: Path) -> None:
    groups = tmp_path / "cgroup"
    groups.write_text("0::/kubepods/pod1\n")
    assert count_out_of_memory_kills(groups, tmp_path) == 0
    events = tmp_path / "kubepods" / "pod1" / "memory.events"
    events.parent.mkdir(parents=True)
    events.write_text("low 0\nhigh 0\nmax 31\noom 2\noom_kill 2\n")
    assert count_out_of_memory_kills(groups, tmp_path) == 2


def test_a_kill_for_memory_is_its_own_doing(monkeypatch: pytest.MonkeyPatch) -> None:
    in_hand = InHand()
    supervisor = Supervisor(in_hand, 100)
    in_hand.take(batch(3, 4))
    monkeypatch.setattr("pipeline.runtimes.worker.supervisor.count_out_of_memory_kills", lambda: 1)
    assert supervisor._judge(-signal.SIGKILL) is None
    assert [death.cause for death in supervisor.suspects.deaths] == ["memory"]
