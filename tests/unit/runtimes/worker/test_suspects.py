from __future__ import annotations

from dataclasses import replace

import pytest
from support.records import kafka_batch as batch
from support.records import whole_context

from pipeline.observability.prometheus_metrics import WorkerMetrics
from pipeline.quotas.ledger import Claim, Decision, Polled, UncountedLedger
from pipeline.runtimes.worker.in_hand import Hand, InHand
from pipeline.runtimes.worker.suspects import MAX_GIVEN_UP, Cause, Death, Supervised, SuspectBatchError, Suspects
from pipeline.runtimes.worker.work import ENCODE, StageWork
from pipeline.settings.schema import Settings
from pipeline.stages import ERRORS


def death(first: int, end: int, cause: Cause = Cause.FAULT, stage: str = "group", log: str = "t") -> Death:
    return Death(cause, "SIGSEGV", Hand({(log, 0): (first, end)}, is_alone=end == first + 1, stage=stage))


def test_nobody_is_suspect_before_the_first_death() -> None:
    assert not Suspects().includes(batch(0, 10))


def test_the_first_death_suspects_what_was_in_hand_and_nothing_else() -> None:
    suspects = Suspects([death(10, 20)])
    assert suspects.includes(batch(19, 30))
    assert suspects.includes(batch(0, 11))
    assert not suspects.includes(batch(0, 10))
    assert not suspects.includes(batch(20, 30))
    assert not suspects.includes(batch(10, 20, log="another")), "a topic that was made again"
    assert suspects.verdict(batch(15, 16)) is None


def test_a_record_is_guilty_at_three_deaths_two_of_them_alone() -> None:
    deaths = [death(10, 20), death(15, 16), death(15, 16)]
    assert Suspects(deaths[:2]).verdict(batch(15, 16)) is None
    verdict = Suspects(deaths).verdict(batch(15, 16))
    assert verdict is not None
    assert (verdict.stage, verdict.reason) == ("group", "kills_worker")
    assert Suspects(deaths).verdict(batch(14, 15)) is None
    assert Suspects([death(10, 20)] * 5).verdict(batch(15, 16)) is None, "never alone"


def test_two_deadly_records_of_one_batch_are_told_apart() -> None:
    suspects = Suspects([death(10, 20), death(12, 13), death(12, 13), death(17, 18)])
    assert suspects.verdict(batch(12, 13)) is not None
    assert suspects.verdict(batch(17, 18)) is None
    assert suspects.with_death(death(17, 18)).verdict(batch(17, 18)) is not None


def test_what_only_hangs_has_its_own_reason() -> None:
    verdict = Suspects([death(5, 6, Cause.HANG)] * 3).verdict(batch(5, 6))
    assert verdict is not None
    assert verdict.reason == "hangs_worker"


def test_many_guilty_records_are_a_fault_of_the_release() -> None:
    suspects = Suspects()
    for offset in range(MAX_GIVEN_UP + 1):
        assert not suspects.is_over_limit
        for _ in range(3):
            suspects = suspects.with_death(death(offset, offset + 1))
    assert suspects.is_over_limit
    assert suspects.verdict(batch(3, 4)) is None
    assert suspects.totals == {Cause.FAULT: 3 * (MAX_GIVEN_UP + 1)}


class NotedLedger(UncountedLedger):
    """Remembers what was claimed at each call."""

    def __init__(self) -> None:
        self.claims: list[tuple[frozenset[int], int]] = []

    def admit(self, polled: tuple[Polled, ...], claims: list[Claim], now: float) -> list[Decision]:  # type: ignore[override]
        self.claims.append((polled[0].organizations, len(claims)))
        return list(super().admit(polled, claims, now))


def work_of(suspects: Suspects, ledger: UncountedLedger | None = None) -> tuple[StageWork, InHand]:
    in_hand = InHand()
    context = replace(whole_context(), ledger=ledger or UncountedLedger())
    work = StageWork(
        Settings(), lambda polled: replace(context, polled=polled), WorkerMetrics(), supervised=Supervised(in_hand, suspects)
    )
    return work, in_hand


def test_suspect_records_are_worked_on_one_at_a_time() -> None:
    work, _ = work_of(Suspects([death(10, 20)]))
    with pytest.raises(SuspectBatchError):
        work.run(batch(5, 12))
    assert len(work.run(batch(10, 11)).result.events) == 1
    assert len(work.run(batch(0, 10)).result.events) == 10


@pytest.mark.parametrize("stage", ["decode", *(stage.name for stage in ERRORS.stages), ENCODE])
def test_a_guilty_record_dies_in_its_stage_and_takes_its_charges_back(stage: str) -> None:
    ledger = NotedLedger()
    work, _ = work_of(Suspects([death(10, 11, stage=stage)] * 3), ledger)
    result = work.run(batch(10, 11)).result
    assert [(letter.stage, letter.reason) for letter in result.dead] == [(stage, "kills_worker")]
    assert (result.events, result.outcomes) == ([], [])
    assert not any(claims for _, claims in ledger.claims[-1:]), "the last word to the ledger claims nothing"
    if stage not in {"decode", "normalize", "filter"}:
        assert ledger.claims[-1] == (frozenset({1}), 0)


def test_a_note_says_what_is_in_hand_while_it_is_and_no_longer() -> None:
    work, in_hand = work_of(Suspects())
    seen: list[Hand | None] = []
    encoded = work._encoded

    def watched(*arguments: object) -> object:
        seen.append(in_hand.read())
        return encoded(*arguments)  # type: ignore[arg-type]

    work._encoded = watched  # type: ignore[method-assign, assignment]
    work.run(batch(7, 9))
    assert seen == [Hand({("t", 0): (7, 9)}, is_alone=False, stage=ENCODE)]
    assert in_hand.read() is None
    assert in_hand.progress() is None


def test_a_batch_too_wide_for_the_note_is_not_noted() -> None:
    in_hand, wide = InHand(), batch(0, 1)
    logs = {0: "x" * 2_000_000}
    in_hand.take(replace(wide, logs=logs))
    assert in_hand.read() is None
