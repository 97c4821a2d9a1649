from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.runtimes.outputs import OutputError, Outputs


def test_files_appear_only_when_the_run_is_complete(tmp_path: Path) -> None:
    with Outputs(tmp_path / "out") as outputs:
        outputs.event(b"[]")
        assert not any(path.suffix == ".jsonl" for path in (tmp_path / "out").iterdir())
        outputs.finish({"records": 1})
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["dead_letters.jsonl", "events.jsonl", "outcomes.jsonl", "summary.json"]
    assert (tmp_path / "out/events.jsonl").read_bytes() == b"[]\n"


def test_a_failed_run_leaves_nothing_and_touches_nothing(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text("before")

    def fail_midway() -> None:
        with Outputs(tmp_path) as outputs:
            outputs.event(b"[]")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_midway()
    assert [path.name for path in tmp_path.iterdir()] == ["events.jsonl"]
    assert (tmp_path / "events.jsonl").read_text() == "before"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        Outputs(tmp_path / "file" / "out")
