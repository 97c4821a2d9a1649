"""`pipeline explain --pii`, and what a replay says of events with processing errors."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from support.command import RULES, pipeline, replay

EVENTS = [
    {
        "event_id": "a" * 32,
        "message": "m",
        "release": "shop@1",
        "request": {"data": {"pin": "73194", "user": "bob"}},
        "level": "loud",
    },
    {"event_id": "b" * 32, "message": "m", "extra": {"a": 1}, "tags": {"a/b": "x", "c/d": "y"}, "level": "loud"},
]


def _given(tmp_path: Path) -> tuple[Path, Path]:
    rules = tmp_path / "rules"
    shutil.copytree(RULES, rules)
    (rules / "default" / "scrubbing.toml").write_text('[applications]\n"$http.data.pin" = ["@anything:mask"]\n')
    (rules / "default" / "filters.toml").write_text('[releases]\npatterns = ["shop@1"]\n')
    events = tmp_path / "events.jsonl"
    events.write_text("".join(json.dumps(event) + "\n" for event in EVENTS))
    return rules, events


def test_explain_says_what_filters_and_scrubbing_do(tmp_path: Path) -> None:
    rules, events = _given(tmp_path)
    run = pipeline("explain", events, "--rules", rules, "--project", 1, "--pii", "--json")
    first, second = map(json.loads, run.stdout.splitlines())
    assert first["filtered_by"] == "release-version"
    assert first["scrubbed"] == [{"rule": "@anything:mask", "field": "request.data.pin", "becomes": "*****"}]
    assert (second["filtered_by"], second["scrubbed"]) == (None, [])
    shown = pipeline("explain", events, "--rules", rules, "--project", 1, "--pii").stdout
    assert "filtered by release-version" in shown
    assert "request.data.pin becomes *****  @anything:mask" in shown
    assert "scrubbing takes nothing" in shown
    assert "73194" not in shown
    assert "filtered_by" not in pipeline("explain", events, "--rules", rules, "--project", 1, "--json").stdout


def test_a_replay_counts_events_with_errors_by_kind(tmp_path: Path) -> None:
    _, events = _given(tmp_path)
    replayed = replay(events, out=tmp_path / "out", options=("--project", 1))
    assert replayed.summary["events_with_errors"] == {"invalid_data": 2}
    assert "events with an error: invalid_data" in pipeline("replay", events, "--project", 1, "--out", tmp_path / "again").stdout
