"""What every stage of the order promises: nothing disappears, order is kept, twice is once, and one event's fall is its own."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.damage import damaged
from support.events import START_TIME, broken_lines, messages, odd_events, wrap
from support.records import REPOSITORY, make_record
from support.snuba import check_published_event

from pipeline.model.dead_letter import DeadLetter
from pipeline.model.envelope import parse_envelope
from pipeline.model.item import Item
from pipeline.model.outcome import Fate, Outcome
from pipeline.model.record import Form, Record
from pipeline.quotas.ledger import Polled, UncountedLedger
from pipeline.rules.folder import load_rules
from pipeline.settings.schema import ArtifactSettings, Settings
from pipeline.stages import ERRORS
from pipeline.stages.contract import Context, Items, Order, Stage, StageResult, each
from pipeline.stages.decode import decode_record
from pipeline.stages.runner import BatchResult, run
from pipeline.wiring.contexts import replay_context
from pipeline.wiring.replay import replay_ledger

FIXTURES = REPOSITORY / "tests/fixtures"
SETTINGS = Settings(artifacts=ArtifactSettings(url=str(FIXTURES / "artifacts")))
RECORDED_EVENTS = [
    file for file in sorted((FIXTURES / "recorded").rglob("*.envelope")) if not file.name.startswith(("other-", "huge-"))
]
NAMES = [stage.name for stage in ERRORS.stages]
WHOLE_BATCH = {"admit", "count"}

MUTANTS = int(os.environ.get("PIPELINE_MUTANTS", "600"))
"""Damaged events that the stages are tried on. 30,000 take some three minutes."""
MUTANTS_OF_A_SEED = 150

FILTERS = """
[releases]
patterns = ["shop@1.3.*"]
[error_messages]
patterns = ["*timeout*"]
"""
QUOTAS = """
[[quota]]
id = "few"
scope = "project"
categories = ["default", "error", "security"]
limit = 5
window_s = 86400
reason_code = "project_quota"
"""

Ends = tuple[list[bytes], list[dict[str, Any]], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def records() -> list[Record]:
    """Return recorded, made-up, odd and broken input, an event that comes twice, and a transaction."""
    lines = list(messages(24, seed=5))
    lines += [lines[0], wrap('{"type": "transaction"}')]
    lines += [*(wrap(text) for text, _ in odd_events().values()), *(line for line, _ in broken_lines().values())]
    recorded = [file.read_bytes() for file in sorted((FIXTURES / "recorded").rglob("*.envelope"))[::12]]
    bodies = [(line, Form.JSON) for line in lines] + [(body, Form.ENVELOPE) for body in recorded]
    return [make_record(body, form, position=number, project_id=None) for number, (body, form) in enumerate(bodies, 1)]


@pytest.fixture(scope="module")
def rules_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return rules under which every stage has something to refuse."""
    folder = tmp_path_factory.mktemp("rules") / "rules"
    shutil.copytree(REPOSITORY / "rules", folder)
    for name, text in (("filters.toml", FILTERS), ("quotas.toml", QUOTAS)):
        (folder / "default" / name).write_text(text)
    return folder


@contextmanager
def counting(rules_folder: Path) -> Iterator[Callable[[list[Record]], Context]]:
    """Return a maker of contexts for batches that follow each other, with a Redis of their own."""
    with replay_ledger(SETTINGS) as (ledger, _):
        make = replay_context(SETTINGS, load_rules(rules_folder), ledger, now=START_TIME + 60)

        def context(batch: list[Record]) -> Context:
            first, last = batch[0].token, batch[-1].token
            return make((Polled(first.topic_id, first.partition, first.offset, last.offset + 1),))

        yield context


@pytest.fixture(scope="module")
def uncounted(rules_folder: Path) -> Context:
    """Return a context in which no event's fate depends on another's."""
    return replay_context(SETTINGS, load_rules(rules_folder), UncountedLedger(), now=START_TIME + 60)(())


def ends(*results: BatchResult) -> Ends:
    """Return everything that batches came to, but for the counts of what was accepted."""
    events = [item.message.value for result in results for item in result.events if item.message is not None]
    outcomes = [
        outcome.to_json(with_origin=True)
        for result in results
        for outcome in result.outcomes
        if outcome.fate is not Fate.ACCEPTED
    ]
    return events, outcomes, [letter.to_json() for result in results for letter in result.dead]


def before(name: str, records: list[Record], ctx: Context) -> list[Item[Any]]:
    """Return the items that reach a stage."""
    return run(records, ctx, Order(ERRORS.decode, ERRORS.stages[: NAMES.index(name)])).events


def recorded_event(file: Path) -> Any:
    """Return the event of a recorded envelope."""
    [payload] = [item.payload for item in parse_envelope(file.read_bytes()).items if item.type == "event"]
    event: Any = json.loads(payload)
    return event


def identities(parts: Any) -> list[tuple[Any, str | None]]:
    return [(part.record.position, getattr(part, "event_id", None)) for part in parts]


@pytest.mark.redis
@pytest.mark.parametrize("stage", ERRORS.stages, ids=NAMES)
def test_each_item_ends_in_one_place_and_the_kept_stay_in_order(stage: Stage, rules_folder: Path, records: list[Record]) -> None:
    with counting(rules_folder) as context:
        ctx = context(records)
        items = before(stage.name, records, ctx)
        arrived = identities(items)
        result = stage.run(items, ctx)
    assert len(arrived) >= 10
    kept = identities(result.kept)
    assert kept == [identity for identity in arrived if identity in set(kept)]
    assert sorted(
        kept + identities(result.outcomes) + [(letter.record.position, item_id) for letter, item_id in died(result, items)]
    ) == sorted(arrived)


def died(result: StageResult, items: Items) -> Iterator[tuple[Any, str]]:
    ids = {item.record.position: item.event_id for item in items}
    for letter in result.dead:
        yield letter, ids[letter.record.position]


@pytest.mark.redis
def test_the_input_makes_every_refusing_stage_refuse(rules_folder: Path, records: list[Record]) -> None:
    with counting(rules_folder) as context:
        _, outcomes, dead = ends(run(records, context(records), ERRORS))
    assert {"release-version", "error-message", "duplicate", "project_quota", "unsupported"} <= {
        outcome["reason"] for outcome in outcomes
    }
    assert {letter["stage"] for letter in dead} == {"decode"}


@pytest.mark.parametrize("stage", ERRORS.stages, ids=NAMES)
def test_an_empty_batch_stays_empty(stage: Stage, uncounted: Context) -> None:
    assert stage.run([], uncounted) == StageResult()


@pytest.mark.redis
@pytest.mark.parametrize("size", [1, 7])
def test_small_batches_come_to_the_same_as_one_large_one(size: int, rules_folder: Path, records: list[Record]) -> None:
    with counting(rules_folder) as context:
        whole = ends(run(records, context(records), ERRORS))
    batches = [records[start : start + size] for start in range(0, len(records), size)]
    with counting(rules_folder) as context:
        parts = ends(*(run(batch, context(batch), ERRORS) for batch in batches))
    assert parts == whole


@pytest.mark.redis
@pytest.mark.parametrize("name", NAMES)
def test_running_a_stage_twice_is_running_it_once(name: str, rules_folder: Path, records: list[Record]) -> None:
    at = NAMES.index(name)
    with counting(rules_folder) as context:
        once = ends(run(records, context(records), ERRORS))
    with counting(rules_folder) as context:
        twice = ends(run(records, context(records), Order(ERRORS.decode, (*ERRORS.stages[: at + 1], *ERRORS.stages[at:]))))
    assert [json.loads(value) for value in twice[0]] == [json.loads(value) for value in once[0]]
    assert twice[1:] == once[1:]


def failing(stage: Stage, position: Any, *, after: bool) -> Stage:
    """Make a stage that cannot stand the item of one record: before it begins, or when its work is done.

    A stage of single events fails for that event; one that handles its batch at once fails for the batch.
    """

    def fail(batch: Items, ctx: Context) -> StageResult:
        is_hit = any(item.record.position == position for item in batch)
        if is_hit and not after:
            raise RuntimeError("injected")
        result = stage.run(batch, ctx)
        if is_hit:
            raise RuntimeError("injected")
        return result

    if stage.name in WHOLE_BATCH:
        return Stage(stage.name, fail)

    def fail_alone(item: Item[Any], ctx: Context) -> Item[Any] | Outcome | DeadLetter:
        result = fail([item], ctx)
        parts: list[Item[Any] | Outcome | DeadLetter] = [*result.kept, *result.outcomes, *result.dead]
        return parts[0]

    return each(stage.name, fail_alone)


@pytest.mark.parametrize("seed", range(MUTANTS // MUTANTS_OF_A_SEED))
def test_no_damage_trips_a_stage_or_is_refused(seed: int, uncounted: Context) -> None:
    events = [json.loads(line)["payload"] for line in messages(30, seed=9)]
    events = [event for event in events if isinstance(event, dict)] + [recorded_event(file) for file in RECORDED_EVENTS[::20]]
    lines = damaged(events, MUTANTS_OF_A_SEED, seed)
    result = run([make_record(line, position=number) for number, line in enumerate(lines, 1)], uncounted, ERRORS)
    assert [(letter.stage, letter.detail, letter.record.body) for letter in result.dead] == []
    assert [reason for item in result.events if item.message for reason in check_published_event(item.message.value)] == []
    assert {outcome.reason for outcome in result.outcomes} <= {None, "unsupported", "release-version", "error-message"}
    assert len(result.events) >= 100


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("place", ["first", "middle", "last"])
@pytest.mark.parametrize("name", NAMES)
def test_a_failure_takes_one_event_alone(name: str, place: str, after: bool, records: list[Record], uncounted: Context) -> None:
    arrived = before(name, records, uncounted)
    position = arrived[{"first": 0, "middle": len(arrived) // 2, "last": -1}[place]].record.position
    stages = tuple(failing(stage, position, after=after) if stage.name == name else stage for stage in ERRORS.stages)
    result = run(records, uncounted, Order(ERRORS.decode, stages))
    letters = [letter for letter in result.dead if letter.stage == name]
    assert [(letter.record.position, letter.reason, letter.detail.partition(" (")[0]) for letter in letters] == [
        (position, "internal", "RuntimeError: injected")
    ]
    result.dead.remove(letters[0])
    assert ends(result) == ends(without(position, run(records, uncounted, ERRORS)))


@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_a_failure_of_decode_takes_one_record_alone(place: str, records: list[Record], uncounted: Context) -> None:
    at = records[{"first": 0, "middle": len(records) // 2, "last": -1}[place]]

    def fail(record: Record, ctx: Context) -> Any:
        if record is at:
            raise RuntimeError("injected")
        return decode_record(record, ctx)

    expected = ends(without(at.position, run(records, uncounted, ERRORS)))
    result = run(records, uncounted, Order(fail, ERRORS.stages))
    [letter] = [letter for letter in result.dead if letter.record is at]
    assert (letter.stage, letter.reason, letter.detail.partition(" (")[0]) == ("decode", "internal", "RuntimeError: injected")
    result.dead.remove(letter)
    assert ends(result) == expected


def without(position: Any, result: BatchResult) -> BatchResult:
    """Take out what became of one record's event; other items of its envelope stay, unless decode never saw them."""
    events = [item for item in result.events if item.record.position != position]
    is_lost = len(events) == len(result.events)
    outcomes = [
        outcome for outcome in result.outcomes if outcome.record is None or outcome.record.position != position or not is_lost
    ]
    dead = [letter for letter in result.dead if letter.record.position != position]
    return BatchResult(events, outcomes, dead)
