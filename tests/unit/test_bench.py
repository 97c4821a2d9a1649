"""The benches' own arithmetic: what a regression is, and that corpora are what they say."""

from __future__ import annotations

import json

import orjson
from bench.bench_stages import BASELINE, RATIOS, ratios, regressions
from bench.corpora import CORPORA, PYTHON_FRAMES


def test_a_ratio_is_a_regression_from_15_percent_above_the_baseline() -> None:
    baseline = {"zipf": {"stages": 10.0, "replay": 20.0}}
    assert regressions(baseline, {"zipf": {"stages": 11.4, "replay": 22.9}}) == []
    [line] = regressions(baseline, {"zipf": {"stages": 11.6, "replay": 15.0}})
    assert line.startswith("zipf: stages is 11.6 times the floor, 16%")


def test_costs_are_compared_as_multiples_of_the_floor() -> None:
    assert ratios({"floor": 20.0, "stages": 300.0, "replay": 410.0}) == {"stages": 15.0, "replay": 20.5}


def test_every_corpus_has_a_baseline() -> None:
    baseline = json.loads(BASELINE.read_text())
    assert {name: tuple(found) for name, found in baseline.items()} == {corpus.name: RATIOS for corpus in CORPORA}


def test_corpora_are_the_same_each_time_and_each_round_has_new_ids() -> None:
    for corpus in CORPORA:
        first = corpus.make(0, 30)
        assert corpus.make(0, 30) == first
        ids = {orjson.loads(body)["event_id"] for round_ in range(3) for body in corpus.make(round_, 30)}
        assert len(ids) == 90


def _stacks(name: str, round_: int) -> list[bytes]:
    make = {corpus.name: corpus.make for corpus in CORPORA}[name]
    found = []
    for body in make(round_, 200):
        frames = orjson.loads(body)["payload"]["exception"]["values"][0]["stacktrace"]["frames"]
        if len(frames) == PYTHON_FRAMES:
            found.append(orjson.dumps(frames))
    return found


def test_stacks_repeat_where_a_corpus_says_so() -> None:
    assert len(set(_stacks("zipf", 0))) < 0.8 * len(_stacks("zipf", 0))
    for name in ("zipf_variables", "new_stacks", "all_new"):
        stacks = _stacks(name, 0) + _stacks(name, 1)
        assert len(set(stacks)) == len(stacks)
