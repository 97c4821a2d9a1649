from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest

from pipeline.model.errors import RetryableError
from pipeline.model.record import Form, Record, Token
from pipeline.quotas.ledger import Claim, Counted, Decision, Polled, Sighting, UncountedLedger
from pipeline.rules.folder import load_rules
from pipeline.runtimes.replay import Tally, cut_batches, replay
from pipeline.runtimes.replay_files import ReplayFiles
from pipeline.stages.contract import Context

RULES = load_rules(Path(__file__).parents[3] / "rules")
NOW = 1_795_348_800.0


def record(number: int, size: int = 0) -> Record:
    body = orjson.dumps({"event_id": f"{number:032x}", "message": f"event {number}" + "x" * size})
    return Record(body, Form.JSON, "in.jsonl", number, NOW, Token("replay", 0, number), project_id=1)


def test_batches_are_cut_by_count_and_bytes_and_a_large_record_goes_alone() -> None:
    records = [record(1), record(2), record(3, 5_000), record(4), record(5)]
    assert [[int(one.position) for one in batch] for batch in cut_batches(records, 2, 4_000)] == [[1, 2], [3], [4, 5]]  # type: ignore[arg-type]


class Moody(UncountedLedger):
    """A ledger that fails on one event's claim, and is away at first."""

    def __init__(self, poison: int | None = None, *, away: int = 0) -> None:
        self.poison, self.away = poison, away
        self.covered: list[tuple[int, int, int]] = []

    def admit(self, polled: Sequence[Polled], claims: Sequence[Claim], now: float) -> Sequence[Decision]:
        if self.away:
            self.away -= 1
            raise RetryableError("redis", "away", retry_in_s=0.0)
        if any(claim.token.offset == self.poison for claim in claims):
            raise ZeroDivisionError
        [part] = polled
        self.covered.append((part.base, part.end, len(claims)))
        return super().admit(polled, claims, now)

    def count(self, polled: Sequence[Polled], sightings: Sequence[Sighting], now: float) -> Sequence[Counted]:
        return super().count(polled, sightings, now)


def run(ledger: Moody, folder: Path, count: int = 8) -> Tally:
    def context(polled: tuple[Polled, ...]) -> Context:
        return Context(now=NOW, rules=RULES, ledger=ledger, polled=polled)

    with ReplayFiles(folder) as outputs:
        return replay(map(record, range(count)), context, outputs, max_records=8, max_bytes=10**9, on_batch=lambda _: None)


def test_a_record_that_a_counting_stage_cannot_take_dies_alone(tmp_path: Path) -> None:
    ledger = Moody(poison=5)
    tally = run(ledger, tmp_path)
    assert (tally.events, sum(tally.dead_letters.values())) == (7, 1)
    assert ledger.covered == [(0, 4, 4), (4, 5, 1), (5, 6, 0), (6, 8, 2)], "of the sixth, whatever was counted is taken back"
    [letter] = [orjson.loads(line) for line in (tmp_path / "dead_letters.jsonl").read_bytes().splitlines()]
    assert letter["position"] == 5
    assert "ZeroDivisionError" in letter["detail"]


def test_a_service_that_is_away_is_waited_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tally = run(Moody(away=2), tmp_path)
    assert tally.events == 8
    assert "redis: away" in caplog.text
