from __future__ import annotations

import time
from collections.abc import Iterator

import orjson
import pytest

from pipeline.model.errors import RetryableError
from pipeline.runtimes.worker.live_counts import IDLE_S, LiveCounts, MinuteTable, read_outcome


def outcome(quantity: int = 1, **fields: object) -> bytes:
    return orjson.dumps({"project_id": 1, "outcome": 1, "category": 1, "quantity": quantity, **fields})


class ListReader:
    """Returns its records once. Asked again, it has caught up."""

    def __init__(self, records: list[tuple[float, bytes]]) -> None:
        self.records = records
        self.is_caught_up = False
        self.is_closed = False

    def poll(self, seconds: float) -> list[tuple[float, bytes]]:
        time.sleep(min(seconds, 0.01))
        records, self.records = self.records, []
        self.is_caught_up = not records
        return records

    def close(self) -> None:
        self.is_closed = True


class Readers:
    """Opens a reader for each beginning, and remembers them."""

    def __init__(self) -> None:
        self.begins: list[float] = []
        self.opened: list[ListReader] = []
        self.failures = 0

    def __call__(self, since: float) -> ListReader:
        if self.failures:
            self.failures -= 1
            raise RetryableError("kafka", "no answer")
        self.begins.append(since)
        self.opened.append(ListReader([(time.time(), outcome(2)), (time.time() - 3_600, outcome(50))]))
        return self.opened[-1]


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def readers() -> Readers:
    return Readers()


@pytest.fixture
def clock() -> Hand:
    return Hand()


@pytest.fixture
def counts(readers: Readers, clock: Hand) -> Iterator[LiveCounts]:
    counts = LiveCounts(readers, clock)
    counts.start()
    yield counts
    counts.stop()


def total(answer: dict[str, list[dict[str, list[dict[str, int]]]]]) -> int:
    return sum(count["quantity"] for minute in answer["minutes"] for count in minute["counts"])


def test_nothing_is_read_until_somebody_asks(counts: LiveCounts, readers: Readers) -> None:
    time.sleep(0.1)
    assert readers.begins == []
    answer = counts.ask(2, 5)
    assert answer["complete"] is True
    assert total(answer) == 2, "what is older than the minutes is left out"


def test_more_minutes_are_read_from_further_back(counts: LiveCounts, readers: Readers) -> None:
    counts.ask(2, 5)
    assert counts.ask(2, 5)["complete"] is True
    assert len(readers.begins) == 1
    assert counts.ask(15, 5)["complete"] is True
    assert readers.begins[0] - readers.begins[1] == pytest.approx(13 * 60, abs=61)
    assert readers.opened[0].is_closed


def test_reading_ends_when_nobody_asks_any_more(counts: LiveCounts, readers: Readers, clock: Hand) -> None:
    counts.ask(2, 5)
    clock.seconds += IDLE_S + 1
    deadline = time.monotonic() + 10
    while not readers.opened[0].is_closed:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert total(counts.ask(2, 5)) == 2
    assert len(readers.opened) == 2


def test_a_broker_that_is_away_is_asked_again_and_the_answer_says_that_it_is_not_complete(
    counts: LiveCounts, readers: Readers
) -> None:
    readers.failures = 1
    assert counts.ask(2, 0.1) == {"complete": False, "minutes": counts.ask(2, 0)["minutes"]}
    assert counts.ask(2, 10)["complete"] is True


def test_only_outcomes_are_counted() -> None:
    table = MinuteTable()
    now = time.time()
    table.count([(now, outcome(3, reason="r")), (now, b""), (now, b"{}"), (now, b"[]"), (now, outcome(1, outcome=99))])
    [minute] = [minute for minute in table.minutes(2) if minute["counts"]]
    assert minute["counts"] == [{"project_id": 1, "category": "error", "outcome": "filtered", "reason": "r", "quantity": 3}]


def test_an_outcome_without_quantity_counts_one() -> None:
    found = read_outcome(orjson.dumps({"project_id": 5, "outcome": 0}))
    assert found is not None
    assert (found[0].project_id, found[0].outcome, found[1]) == (5, "accepted", 1)
