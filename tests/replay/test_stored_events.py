"""Stored events as input: nothing changes without a reason, and maps that came late give what maps in time would have given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.command import ARTIFACTS, RECORDED, RULES
from support.records import make_record

from pipeline.model.record import Record
from pipeline.quotas.ledger import UncountedLedger
from pipeline.rules.folder import load_rules
from pipeline.runtimes.recorded.readers import Inputs
from pipeline.settings.schema import ArtifactSettings, Settings
from pipeline.stages import CHANGED, ERRORS
from pipeline.stages.contract import Context, Order
from pipeline.stages.runner import run
from pipeline.wiring.contexts import replay_context

NOW = 1_795_348_800.0


def stored(records: list[Record], ctx: Context, order: Order = ERRORS) -> dict[str, dict[str, Any]]:
    """Return the rows of the stored events by their ids."""
    result = run(records, ctx, order)
    assert not result.dead
    return {item.event_id: json.loads(item.message.value)[2] for item in result.events if item.message is not None}


def as_input(rows: dict[str, dict[str, Any]]) -> list[Record]:
    lines = (json.dumps([2, "insert", row, {}]).encode() for row in rows.values())
    return [make_record(line, position=number, project_id=None) for number, line in enumerate(lines, 1)]


def context(artifacts: Path | None = None) -> Context:
    settings = Settings(artifacts=ArtifactSettings(url=None if artifacts is None else str(artifacts)))
    return replay_context(settings, load_rules(RULES), UncountedLedger(), now=NOW)(())


@pytest.fixture(scope="module")
def records() -> list[Record]:
    """Return every third recorded event."""
    paths = [str(path) for path in sorted(RECORDED.rglob("*.envelope"))[::3]]
    return list(Inputs(paths, now=NOW))


@pytest.fixture(scope="module")
def in_time(records: list[Record]) -> dict[str, dict[str, Any]]:
    return stored(records, context(ARTIFACTS))


@pytest.mark.parametrize("artifacts", [ARTIFACTS, None], ids=["with maps", "without"])
def test_stored_events_come_out_as_they_went_in(in_time: dict[str, dict[str, Any]], artifacts: Path | None) -> None:
    assert len(in_time) > 50
    assert stored(as_input(in_time), context(artifacts)) == in_time
    assert stored(as_input(in_time), context(artifacts), CHANGED) == {}


@pytest.mark.parametrize("has_store", [True, False], ids=["an empty store", "no store"])
def test_maps_that_come_late_give_what_maps_in_time_give(
    records: list[Record], in_time: dict[str, dict[str, Any]], tmp_path: Path, *, has_store: bool
) -> None:
    before = stored(records, context(tmp_path if has_store else None))
    changed = stored(as_input(before), context(ARTIFACTS), CHANGED)
    assert {event_id for event_id in in_time if before[event_id] != in_time[event_id]} == changed.keys()
    assert 10 < len(changed) < len(in_time) - 10
    assert before | changed == in_time


def test_unchanged_events_are_accounted_for(in_time: dict[str, dict[str, Any]]) -> None:
    result = run(as_input(in_time), context(ARTIFACTS), CHANGED)
    assert {(outcome.fate.label, outcome.reason) for outcome in result.outcomes} == {("filtered", "unchanged")}
    assert sum(outcome.quantity for outcome in result.outcomes) == len(in_time)


def test_an_event_that_was_never_stored_always_counts_as_changed(records: list[Record]) -> None:
    assert stored(records[:3], context(), CHANGED)
