from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from support.records import RECEIVED, make_record, project_context

from pipeline.model.category import DataCategory
from pipeline.model.dead_letter import DeadLetter
from pipeline.model.errors import RetryableError, StaleBatchError
from pipeline.model.event import as_json
from pipeline.model.item import Item
from pipeline.model.outcome import Fate, Outcome
from pipeline.model.record import Form, Record
from pipeline.model.scope import Scope
from pipeline.quotas.ledger import Polled
from pipeline.stages.contract import Context, Items, Order, Stage, StageResult, each
from pipeline.stages.decode import decode_record
from pipeline.stages.runner import AccountingError, BatchResult
from pipeline.stages.runner import run as run_order

CONTEXT = project_context()


def run(records: Sequence[Record], ctx: Context, stages: Sequence[Stage]) -> BatchResult:
    return run_order(records, ctx, Order(decode_record, tuple(stages)))


def records(count: int, project_id: int = 7) -> list[Record]:
    return [make_record(b'{"message": "%d"}' % number, position=number + 1, project_id=project_id) for number in range(count)]


def positions(parts: list[Any]) -> list[Any]:
    return [part.record.position for part in parts]


def keep(item: Item[Any], _: Context) -> Item[Any]:
    return item


def drop(*unwanted: int) -> Stage:
    def rule(item: Item[Any], _: Context) -> Item[Any] | Outcome:
        return item.rejected(Fate.FILTERED, "unwanted") if item.record.position in unwanted else item

    return each("drop", rule)


def trip(*at: int, error: type[Exception] = ValueError) -> Stage:
    """Return a stage of whole batches that fails for some of them, after it has done its work."""

    def stage(batch: Items, _: Context) -> StageResult:
        for item in batch:
            as_json(item.event)["seen"] = True
        if any(item.record.position in at for item in batch):
            raise error("tripped")
        return StageResult(kept=list(batch))

    return Stage("trip", stage)


def test_items_go_through_the_stages_in_order() -> None:
    seen: list[tuple[str, Any]] = []

    def watch(name: str) -> Stage:
        def look(item: Item[Any], _: Context) -> Item[Any]:
            seen.append((name, item.record.position))
            return item

        return each(name, look)

    result = run(records(2), CONTEXT, [watch("first"), drop(1), watch("second")])
    assert seen == [("first", 1), ("first", 2), ("second", 2)]
    assert list(result.stage_s) == ["decode", "first", "drop", "second"]


def test_what_is_stored_is_counted_once_for_each_project_and_category() -> None:
    result = run([*records(3), *records(1, project_id=8)], CONTEXT, [drop(2)])
    assert positions(result.events) == [1, 3, 1]
    assert result.outcomes == [
        result.outcomes[0],
        Outcome(RECEIVED, Scope(1, 7), Fate.ACCEPTED, None, None, DataCategory.ERROR, 2),
        Outcome(RECEIVED, Scope(1, 8), Fate.ACCEPTED, None, None, DataCategory.ERROR, 1),
    ]
    assert (result.outcomes[0].reason, positions(result.outcomes[:1])) == ("unwanted", [2])


def test_nothing_comes_of_nothing() -> None:
    result = run([], CONTEXT, [drop(1), trip(1)])
    assert (result.events, result.outcomes, result.dead) == ([], [], [])


@pytest.mark.parametrize("at", [(1,), (4,), (7,), (1, 2), (1, 4, 7), (1, 2, 3, 4, 5, 6, 7)])
def test_an_item_that_fails_a_whole_batch_dies_alone(at: tuple[int, ...]) -> None:
    result = run(records(7), CONTEXT, [trip(*at), each("after", keep)])
    assert positions(result.events) == [position for position in range(1, 8) if position not in at]
    assert positions(list(result.dead)) == list(at)
    assert {(letter.stage, letter.reason, letter.detail.partition(" (")[0]) for letter in result.dead} == {
        ("trip", "internal", "ValueError: tripped")
    }


@pytest.mark.parametrize("error", [RetryableError("redis", "away"), StaleBatchError("gone")])
@pytest.mark.parametrize(
    "wrap", [lambda function: each("away", function), lambda function: Stage("away", function)], ids=["each", "batch"]
)
def test_a_service_that_is_away_stops_the_batch_and_kills_nothing(error: Exception, wrap: Any) -> None:
    def fail(*_: Any) -> Any:
        raise error

    with pytest.raises(type(error)):
        run(records(2), CONTEXT, [wrap(fail)])


def test_what_dies_after_it_was_counted_is_taken_out_and_the_rest_is_counted_again() -> None:
    """So that the ledger takes back what it charged for the event that is not stored."""
    asked: list[tuple[list[Any], set[int]]] = []

    def count(batch: Items, ctx: Context) -> StageResult:
        [polled] = ctx.polled
        asked.append((positions(list(batch)), set(polled.organizations)))
        return StageResult(kept=list(batch))

    ctx = replace(CONTEXT, polled=(Polled("test", 0, 0, 4),))
    stages = [drop(1), trip(2), Stage("count", count, counts=True), trip(3), each("after", keep)]
    result = run(records(4), ctx, stages)
    assert asked == [([3, 4], {1}), ([4], {1})]
    assert (positions(result.events), positions(list(result.dead))) == ([4], [2, 3])
    assert [(outcome.reason, outcome.quantity) for outcome in result.outcomes] == [("unwanted", 1), (None, 1)]
    run(records(1), ctx, [Stage("count", count, counts=True), trip(1)])
    assert asked[2:] == [([1], {1}), ([], {1})], "the ledger is told of an organization though none of its events is left"


def test_what_counting_itself_fails_for_is_taken_back() -> None:
    asked: list[list[int]] = []

    def count(batch: Items, _: Context) -> StageResult:
        asked.append(positions(list(batch)))
        if 2 in asked[-1]:
            raise OverflowError("too much to count")
        return StageResult(kept=list(batch))

    stages = [Stage("count", count, counts=True)]
    with pytest.raises(OverflowError):
        run(records(3), CONTEXT, stages)
    result = run(records(2)[1:], CONTEXT, stages)
    [letter] = result.dead
    assert (letter.stage, letter.reason, result.events) == ("count", "internal", [])
    assert asked == [[1, 2, 3], [2], []], "the last call names nothing, so that the ledger takes back"


def test_the_rest_of_an_envelope_keeps_its_outcomes_though_its_event_is_taken_out() -> None:
    event = b'{"dsn":"https://k@h/7"}\n{"type":"event"}\n{"message":"m"}\n{"type":"session"}\n{}\n'
    record = make_record(event, Form.ENVELOPE)
    count = Stage("count", lambda batch, _: StageResult(kept=list(batch)), counts=True)
    result = run([record], CONTEXT, [count, trip(1)])
    assert (result.events, [outcome.reason for outcome in result.outcomes], len(result.dead)) == ([], ["unsupported"], 1)


def test_a_record_that_decode_trips_over_is_dead() -> None:
    def trips_over_the_second(record: Record, ctx: Context) -> Any:
        if record.position == 2:
            raise RecursionError("deep")
        return decode_record(record, ctx)

    result = run_order(records(3), CONTEXT, Order(trips_over_the_second, ()))
    assert positions(result.events) == [1, 3]
    [letter] = result.dead
    assert (letter.stage, letter.reason, letter.detail.partition(" (")[0]) == ("decode", "internal", "RecursionError: deep")


def loses(batch: Items, _: Context) -> StageResult:
    return StageResult(kept=list(batch[1:]))


def doubles(batch: Items, _: Context) -> StageResult:
    return StageResult(kept=[*batch, *batch])


def keeps_and_kills(batch: Items, _: Context) -> StageResult:
    return StageResult(kept=list(batch), dead=[DeadLetter(batch[0].record, "x", "y")])


def miscounts(batch: Items, _: Context) -> StageResult:
    outcome = batch[0].rejected(Fate.FILTERED, "z")._replace(category=DataCategory.ATTACHMENT)
    return StageResult(kept=list(batch[1:]), outcomes=[outcome])


@pytest.mark.parametrize("stage", [loses, doubles, keeps_and_kills, miscounts])
def test_a_stage_that_does_not_account_for_its_items_is_found(stage: Any) -> None:
    with pytest.raises(AccountingError, match="wrong"):
        run(records(2), CONTEXT, [Stage("wrong", stage)])


def test_a_decode_that_gives_nothing_is_found() -> None:
    with pytest.raises(AccountingError, match="decode"):
        run_order(records(1), CONTEXT, Order(lambda *_: [], ()))
