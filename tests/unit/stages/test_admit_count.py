"""What admit and count ask of the ledger, and do with its answers; the ledger itself is tested on a real Redis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from support.records import RECEIVED, make_record, project_context

from pipeline.model.category import DataCategory
from pipeline.model.errors import RetryableError
from pipeline.model.grouping import Grouping
from pipeline.model.item import Item
from pipeline.model.outcome import Fate
from pipeline.model.scope import Scope
from pipeline.quotas.ledger import Claim, Counted, Decision, Polled, Sighting
from pipeline.stages.admit import admit_events
from pipeline.stages.contract import Context
from pipeline.stages.count import count_events
from pipeline.stages.runner import accepted


@dataclass
class ScriptedLedger:
    """Returns the answers that a test wrote down, and keeps what it was asked."""

    answers: Sequence[Any] = ()
    asked: list[Any] = field(default_factory=list)

    def admit(self, polled: Sequence[Polled], claims: Sequence[Claim], now: float) -> Sequence[Decision]:  # noqa: ARG002
        self.asked += claims
        return self.answers

    def count(self, polled: Sequence[Polled], sightings: Sequence[Sighting], now: float) -> Sequence[Counted]:  # noqa: ARG002
        self.asked += sightings
        return self.answers


def context(*answers: Any) -> Context:
    return replace(project_context(), ledger=ScriptedLedger(answers))


def item(position: int = 1, *, event: Any | None = None, grouping: Grouping | None = None) -> Item[Any]:
    record = make_record(b"{}", position=position)
    event = {"timestamp": 5.0} if event is None else event
    return Item(record, Scope(1, 7), DataCategory.ERROR, 1, RECEIVED, f"{position:032x}", event, grouping=grouping)


def grouped(position: int = 1, **event: Any) -> Item[Any]:
    return item(position, event={"timestamp": 5.0} | event, grouping=Grouping(("a", "b"), ("{{ default }}",), ("old",)))


def test_admit_sorts_by_decision() -> None:
    decisions = (Decision(), Decision(Fate.INVALID, "duplicate"), Decision(Fate.RATE_LIMITED, "over"), Decision(uncounted=True))
    result = admit_events([item(at) for at in range(1, 5)], context(*decisions))
    assert [kept.record.position for kept in result.kept] == [1, 4]
    assert [kept.is_uncounted for kept in result.kept] == [False, True]
    assert [(outcome.fate, outcome.reason) for outcome in result.outcomes] == [
        (Fate.INVALID, "duplicate"),
        (Fate.RATE_LIMITED, "over"),
    ]


def test_an_event_on_a_reserve_says_so_to_count() -> None:
    [kept] = admit_events([item()], context(Decision(reason="over", on_reserve=True))).kept
    assert kept.reserve_reason == "over"
    kept.grouping = Grouping(("a",), ("x",))
    ctx = context(Counted(Decision(Fate.RATE_LIMITED, "over"), is_new=False))
    assert [outcome.reason for outcome in count_events([kept], ctx).outcomes] == ["over"]
    ledger: Any = ctx.ledger
    assert ledger.asked[0].reserve_reason == "over"


def test_count_tells_the_first_and_the_sampled() -> None:
    answers = (
        Counted(Decision(), is_new=True, first_seen=5.0),
        Counted(Decision(), is_new=False, sample_rate=0.1, first_seen=4.0),
    )
    result = count_events([grouped(1), grouped(2)], context(*answers))
    assert [(kept.is_new_group, kept.group_first_seen, kept.sample_rate) for kept in result.kept] == [
        (True, 5.0, None),
        (False, 4.0, 0.1),
    ]


def test_count_asks_with_all_hashes_and_the_events_own_time() -> None:
    ctx = context(Counted(Decision(), is_new=True))
    count_events([grouped(user={"id": "9"})], ctx)
    ledger: Any = ctx.ledger
    [sighting] = ledger.asked
    assert (sighting.hashes, sighting.event_time, sighting.received, sighting.user) == (("a", "b", "old"), 5.0, RECEIVED, "id:9")


def test_the_one_that_cannot_be_asked_about_leaves_alone() -> None:
    """The ledger takes back what a call does not name: the rest of the batch must be named at once, not in halves."""
    ctx = context(Counted(Decision(), is_new=True))
    result = count_events([item(1), grouped(2)], ctx)
    assert [letter.record.position for letter in result.dead] == [1]
    assert [kept.record.position for kept in result.kept] == [2]


@pytest.mark.parametrize("stage", [admit_events, count_events])
def test_a_service_that_is_away_is_the_runtimes_business(stage: Any) -> None:
    class Away(ScriptedLedger):
        def admit(self, *_: Any) -> Sequence[Decision]:
            raise RetryableError("redis", "away")

        def count(self, *_: Any) -> Sequence[Counted]:
            raise RetryableError("redis", "away")

    with pytest.raises(RetryableError):
        stage([grouped()], replace(project_context(), ledger=Away()))


def test_uncounted_events_say_so_in_their_outcome() -> None:
    counted, uncounted = grouped(1), grouped(2)
    uncounted.is_uncounted = True
    outcomes = accepted([counted, uncounted], RECEIVED)
    assert {(outcome.fate, outcome.reason, outcome.quantity) for outcome in outcomes} == {
        (Fate.ACCEPTED, None, 1),
        (Fate.ACCEPTED, "uncounted", 1),
    }
