from __future__ import annotations

import re

import pytest

from pipeline.kafka.start import Break
from pipeline.model.category import DataCategory
from pipeline.model.outcome import Fate, Outcome
from pipeline.model.scope import Scope
from pipeline.observability import metric_defs
from pipeline.observability.metric_defs import METRICS, Kind, Metric
from pipeline.observability.prometheus_metrics import BREAKS, STATES, WorkerMetrics
from pipeline.runtimes.loop import State


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_says_what_it_is_and_what_to_do(metric: Metric) -> None:
    assert metric.name.startswith("pipeline_")
    assert metric.unit
    assert metric.meaning.endswith(".")
    assert metric.when_high.endswith(".")
    assert bool(metric.buckets) == (metric.kind is Kind.HISTOGRAM)


def test_the_page_has_what_the_documents_name_and_nothing_else() -> None:
    exposed = re.findall(r"^# TYPE (\w+) ", WorkerMetrics().page().decode(), re.MULTILINE)
    assert {name.removesuffix("_total") for name in exposed} == {metric.name.removesuffix("_total") for metric in METRICS}


def test_outcomes_are_added_up_by_reason() -> None:
    metrics = WorkerMetrics()
    outcome = Outcome(1.0, Scope(1, 2), Fate.FILTERED, "localhost", "e", DataCategory.ERROR, 1)
    metrics.batch_committed(
        records=3,
        size_bytes=10,
        events=1,
        new_groups=1,
        outcomes=[outcome, outcome],
        dead=[],
        errors={"invalid_data": 2},
        stage_s={"group": 0.5},
        run_s=1,
        commit_s=1,
    )
    page = metrics.page().decode()
    assert 'pipeline_outcomes_total{category="error",outcome="filtered",reason="localhost"} 2.0' in page
    assert 'pipeline_stage_seconds_total{stage="group"} 0.5' in page
    assert 'pipeline_events_with_errors_total{kind="invalid_data"} 2.0' in page
    assert 'pipeline_events_with_errors_total{kind="js_no_source"} 0.0' in page


def test_a_partition_that_is_gone_leaves_no_series() -> None:
    metrics = WorkerMetrics()
    metrics.lag({0: (5, 1.0), 1: (6, 2.0)})
    metrics.lag({1: (6, 2.0)})
    page = metrics.page().decode()
    assert 'pipeline_lag_records{partition="1"} 6.0' in page
    assert 'partition="0"' not in page


def test_one_state_holds() -> None:
    assert tuple(State) == STATES
    assert tuple(Break) == BREAKS
    metrics = WorkerMetrics()
    metrics.state(State.HALTED)
    page = metrics.page().decode()
    assert 'pipeline_state{state="halted"} 1.0' in page
    assert 'pipeline_state{state="running"} 0.0' in page


def test_recent_totals_leave_no_series_behind_and_begin_anew() -> None:
    def frames(**releases: int) -> list[tuple[str, str]]:
        metrics.recent_totals(metric_defs.FRAMES, {("7", release, "yes"): total for release, total in releases.items()})
        return re.findall(r'pipeline_frames_total.*release="(\w+)".* (.*)', metrics.page().decode())

    metrics = WorkerMetrics()
    assert frames(a=0, b=5) == [("a", "0.0"), ("b", "5.0")]
    assert frames(a=3, c=1) == [("a", "3.0"), ("c", "1.0")], "b was pushed out"
    assert frames(a=2, b=1) == [("a", "2.0"), ("b", "1.0")], "a was pushed out and came back in between"


def test_totals_that_others_keep_only_grow() -> None:
    metrics = WorkerMetrics()
    for hits in (5, 5, 9, 0):
        metrics.totals(metric_defs.CACHE_LOOKUPS, {("maps", "hit"): hits})
    assert 'pipeline_cache_lookups_total{cache="maps",result="hit"} 9.0' in metrics.page().decode()
