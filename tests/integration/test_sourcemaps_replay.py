"""Symbolication as part of a replay: late artifacts, hostile artifacts, and the same bytes whatever the batch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.artifact_bundles import BuiltFile, write_bundle
from support.source_maps import CODE, FILES, event

from pipeline.cli.replay import replay

RULES = Path(__file__).parents[2] / "rules"
pytestmark = pytest.mark.redis


def replayed(tmp_path: Path, store: Path, events: list[dict[str, Any]], *more: object) -> tuple[list[dict[str, Any]], bytes]:
    """Replay events; give them as stored, and the bytes of the file."""
    source, out = tmp_path / "events.jsonl", tmp_path / "out"
    lines = [{"event_id": f"{number:032x}", "timestamp": 1_767_225_600, **each} for number, each in enumerate(events, 1)]
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))
    options = ["--artifacts", store, "--rules", RULES, "--project", 7, "--now", "2026-01-01T00:00:00Z", *more]
    result = CliRunner().invoke(replay, [str(argument) for argument in (source, "--out", out, *options)])
    assert result.exit_code == 0, result.output
    written = (out / "events.jsonl").read_bytes()
    return [json.loads(line)[2]["data"] for line in written.splitlines()], written


def crashed_frame(stored: dict[str, Any]) -> dict[str, Any]:
    frame: dict[str, Any] = stored["exception"]["values"][0]["stacktrace"]["frames"][-1]
    return frame


def test_late_artifacts_resolve_another_replay(tmp_path: Path) -> None:
    (early,), _ = replayed(tmp_path, tmp_path / "store", [event()])
    assert [error["type"] for error in early["errors"]] == ["js_no_source"]
    assert crashed_frame(early)["function"] == "a"

    write_bundle(tmp_path / "store" / "7" / "a.zip", FILES, release="shop@1")
    (late,), _ = replayed(tmp_path, tmp_path / "store", [event()])
    assert not late.get("errors")
    assert (crashed_frame(late)["function"], crashed_frame(late)["lineno"]) == ("refuse", 2)


def test_a_file_that_kills_the_parser_costs_its_names_and_nothing_else(tmp_path: Path) -> None:
    killer = [BuiltFile("~/killer.js", b"[" * 500_000 + b"\n//# sourceMappingURL=static/app.min.js.map")]
    write_bundle(tmp_path / "store" / "7" / "a.zip", [*FILES, *killer], release="shop@1")
    hostile = event({"abs_path": "https://shop.example/killer.js", "function": "k", "lineno": 1, "colno": 15})
    stored, _ = replayed(tmp_path, tmp_path / "store", [event(), hostile, event()])
    assert [crashed_frame(each)["function"] for each in stored] == ["refuse", "k", "refuse"]
    assert [crashed_frame(each)["lineno"] for each in stored] == [2, 2, 2]
    assert [[error["type"] for error in each.get("errors") or []] for each in stored] == [[], ["js_invalid_source"], []]


def test_the_same_bytes_whatever_the_batch(tmp_path: Path) -> None:
    anonymous = BuiltFile("~/plain.js", CODE.splitlines()[0])
    write_bundle(tmp_path / "store" / "7" / "a.zip", [*FILES, anonymous], release="shop@1")
    urls = [f"https://shop.example/{name}" for name in ("static/app.min.js", "plain.js", "none.js")]
    frames = [{"abs_path": url, "lineno": 1, "colno": 15} for url in urls]
    events = [event(*frames[: number % 3 + 1], release=f"shop@{number % 2}") for number in range(12)]
    _, whole = replayed(tmp_path, tmp_path / "store", events)
    _, one_by_one = replayed(tmp_path, tmp_path / "store", events, "--batch-size", 1)
    assert whole == one_by_one
