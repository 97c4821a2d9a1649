from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.model.category import DataCategory
from pipeline.model.outcome import Fate, Outcome
from pipeline.model.scope import Scope
from pipeline.runtimes.replay_files import OutputError, ReplayFiles


def test_files_appear_only_when_the_run_is_complete(tmp_path: Path) -> None:
    with ReplayFiles(tmp_path / "out") as outputs:
        outputs.event(b"[]")
        assert not any(path.suffix == ".jsonl" for path in (tmp_path / "out").iterdir())
        outputs.finish({"records": 1})
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["dead_letters.jsonl", "events.jsonl", "outcomes.jsonl", "summary.json"]
    assert (tmp_path / "out/events.jsonl").read_bytes() == b"[]\n"


def test_a_failed_run_leaves_nothing_and_touches_nothing(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text("before")

    def fail_midway() -> None:
        with ReplayFiles(tmp_path) as outputs:
            outputs.event(b"[]")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_midway()
    assert [path.name for path in tmp_path.iterdir()] == ["events.jsonl"]
    assert (tmp_path / "events.jsonl").read_text() == "before"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        ReplayFiles(tmp_path / "file" / "out")


@pytest.mark.parametrize("name", ["events.jsonl", "outcomes.jsonl", "summary.json"])
def test_a_full_disk_is_named_and_nothing_stays_that_looks_finished(tmp_path: Path, name: str) -> None:
    (tmp_path / (name + ".partial")).symlink_to("/dev/full")
    large = b"x" * 1_000_000

    def write_all() -> None:
        with ReplayFiles(tmp_path) as outputs:
            outputs.event(large)
            outputs.outcome(Outcome(0.0, Scope(1, 1, None), Fate.INVALID, large.decode(), None, DataCategory.ERROR, 1))
            outputs.finish({"records": 1})

    with pytest.raises(OutputError, match="No space left"):
        write_all()
    assert not (tmp_path / "summary.json").exists()
    assert not list(tmp_path.glob("*.partial"))
