"""Alerts on the series that workers and gateways make, tried by promtool.

Each case plays a story minute by minute on the real metrics and the real watch of the lag, and says which alerts must fire.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from support.promtool import find_promtool, try_rules

from pipeline.kafka.lag import LagWatch
from pipeline.kafka.offsets import GroupOffsets, Standing
from pipeline.observability import metric_defs
from pipeline.observability.prometheus_gateway import GatewayMetrics
from pipeline.observability.prometheus_metrics import DEAD_LETTERS, REFUSALS, STAGES, WorkerMetrics
from pipeline.stages import ERRORS

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "alerts.yaml"
MINUTES = 30


class Broker:
    """A topic of two partitions. Offsets are minutes: one record arrives in each."""

    def __init__(self) -> None:
        self.committed = [0, 0]
        self.ends = [0, 0]

    def read(self) -> dict[int, Standing]:
        return {p: Standing(0, self.committed[p], self.ends[p]) for p in (0, 1)}

    def arrivals(self, offsets: Mapping[int, int]) -> dict[int, float]:
        return {p: offset * 60.0 for p, offset in offsets.items()}

    def close(self) -> None: ...


class Process:
    """A worker's metrics, with the watch of the lag that they come from."""

    def __init__(self, broker: Broker) -> None:
        self.metrics = WorkerMetrics()
        self.watch = LagWatch(cast(GroupOffsets, broker), lambda: True, self.metrics.lag)
        self.is_scraped = True
        self.owns = 2
        self.metrics.state("running")

    def scrape(self, minute: int, *, is_elected: bool) -> bytes:
        if is_elected:
            self.watch.look()
            self.metrics.lag(self.watch.lag(minute * 60.0))
        else:
            self.metrics.lag({})
        self.metrics.owned(range(self.owns))
        return self.metrics.page()


class Cluster:
    """Two workers. The first one is elected unless a story says otherwise."""

    def __init__(self) -> None:
        self.broker = Broker()
        self.workers = {"a": Process(self.broker), "b": Process(self.broker)}
        self.elected = "a"
        self.reads = {0, 1}
        """Partitions that are read up to their end."""
        self.is_fed = True

    def pages(self, minute: int) -> dict[str, bytes]:
        for partition in (0, 1):
            if self.is_fed:
                self.broker.ends[partition] = minute + 1
            if partition in self.reads:
                self.broker.committed[partition] = self.broker.ends[partition]
        return {
            name: worker.scrape(minute, is_elected=name == self.elected)
            for name, worker in self.workers.items()
            if worker.is_scraped
        }


Story = Callable[[Cluster, int], None]


def nothing_happens(_: Cluster, __: int) -> None: ...


def nobody_sends(cluster: Cluster, minute: int) -> None:
    cluster.is_fed = minute < 5


def a_partition_is_not_read(cluster: Cluster, _: int) -> None:
    cluster.reads = {0}


def its_watcher_changes_meanwhile(cluster: Cluster, minute: int) -> None:
    cluster.reads = {0}
    cluster.elected = "a" if minute % 4 < 2 else "b"


def one_record_after_an_idle_hour(cluster: Cluster, minute: int) -> None:
    cluster.is_fed = minute == 0 or minute > 20


def nobody_watches(cluster: Cluster, minute: int) -> None:
    cluster.elected = "nobody" if minute > 5 else "a"


def nobody_owns_anything(cluster: Cluster, minute: int) -> None:
    for worker in cluster.workers.values():
        worker.owns = 2 if minute < 5 else 0


def dead_letters(at: int, number: int) -> Story:
    def story(cluster: Cluster, minute: int) -> None:
        if minute == at:
            cluster.workers["b"].metrics.batch_committed(
                records=number,
                size_bytes=0,
                events=0,
                new_groups=0,
                outcomes=[],
                dead=[("decode", "invalid_json")] * number,
                errors={},
                stage_s={},
                run_s=0.1,
                commit_s=0.1,
            )
            cluster.workers["b"].is_scraped = True
        elif minute < at:
            cluster.workers["b"].is_scraped = at > 10

    return story


def records_are_gone(at: int) -> Story:
    def story(cluster: Cluster, minute: int) -> None:
        cluster.workers["b"].is_scraped = minute >= at if at < 10 else True
        if minute == at:
            cluster.workers["b"].metrics.input_break("retention", 200)

    return story


def state(name: str) -> Story:
    def story(cluster: Cluster, minute: int) -> None:
        cluster.workers["b"].metrics.state(name if minute > 5 else "running")

    return story


def a_record_kills_workers(cluster: Cluster, minute: int) -> None:
    if minute == 12:
        cluster.workers["b"].metrics.totals(metric_defs.WORKER_DEATHS, {("fault",): 1})


@pytest.mark.parametrize(
    ("story", "fired"),
    [
        pytest.param(nothing_happens, {}, id="nothing happens"),
        pytest.param(nobody_sends, {}, id="an idle topic has no lag"),
        pytest.param(one_record_after_an_idle_hour, {}, id="a record after an idle hour"),
        pytest.param(a_partition_is_not_read, {"PipelineLag": [{"partition": "1"}]}, id="a partition that nobody reads"),
        pytest.param(its_watcher_changes_meanwhile, {"PipelineLag": [{"partition": "1"}]}, id="the same, amid rebalances"),
        pytest.param(nobody_watches, {"PipelineLagUnknown": [{}]}, id="nobody owns partition 0"),
        pytest.param(nobody_owns_anything, {"PipelinePartitionUnowned": [{}]}, id="nobody owns anything"),
        pytest.param(
            dead_letters(20, 300), {"PipelineDeadLetters": [{"reason": "invalid_json", "stage": "decode"}]}, id="a first burst"
        ),
        pytest.param(dead_letters(18, 50), {}, id="a few dead letters"),
        pytest.param(
            records_are_gone(25), {"PipelineInputLost": [{}], "PipelineInputBreak": [{"why": "retention"}]}, id="records are gone"
        ),
        pytest.param(state("halted"), {"PipelineHalted": [{"state": "halted", "instance": "b"}]}, id="halted"),
        pytest.param(state("waiting"), {"PipelineWaiting": [{"state": "waiting", "instance": "b"}]}, id="waiting"),
        pytest.param(a_record_kills_workers, {}, id="a death long ago"),
    ],
)
def test_what_fires_after_half_an_hour(story: Story, fired: dict[str, list[dict[str, str]]], tmp_path: Path) -> None:
    promtool = find_promtool()
    cluster = Cluster()
    try_rules(promtool, RULES, play(cluster, story, fired, MINUTES - 1), tmp_path)


@pytest.mark.parametrize(
    ("story", "at", "fired"),
    [
        pytest.param(
            dead_letters(3, 300), 5, {"PipelineDeadLetters": [{"reason": "invalid_json", "stage": "decode"}]}, id="burst"
        ),
        pytest.param(
            records_are_gone(3), 5, {"PipelineInputLost": [{}], "PipelineInputBreak": [{"why": "retention"}]}, id="records gone"
        ),
        pytest.param(a_record_kills_workers, 14, {"PipelineWorkerDies": [{"cause": "fault"}]}, id="death"),
    ],
)
def test_what_happened_before_the_first_scrape_fires_too(
    story: Story, at: int, fired: dict[str, list[dict[str, str]]], tmp_path: Path
) -> None:
    try_rules(find_promtool(), RULES, play(Cluster(), story, fired, at), tmp_path)


def play(cluster: Cluster, story: Story, fired: dict[str, list[dict[str, str]]], at: int) -> str:
    """Return the test file of a story: all series by minute, and for every alert of workers what fires at a minute."""
    series: defaultdict[str, list[str]] = defaultdict(lambda: ["_"] * MINUTES)
    for minute in range(MINUTES):
        story(cluster, minute)
        for instance, page in cluster.pages(minute).items():
            for family in text_string_to_metric_families(page.decode()):
                for sample in family.samples:
                    labels = ",".join(
                        f'{name}="{value}"' for name, value in sorted({**sample.labels, "instance": instance}.items())
                    )
                    series[f"{sample.name}{{{labels}}}"][minute] = str(sample.value)
    rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    wanted = []
    for rule in rules:
        if "gateway" not in rule["expr"]:
            alerts = [
                {"exp_labels": {**rule["labels"], **labels}, "exp_annotations": None} for labels in fired.get(rule["alert"], [])
            ]
            wanted.append(
                {"eval_time": f"{at}m", "alertname": rule["alert"], "exp_alerts": [_described(rule, one) for one in alerts]}
            )
    used = {name for rule in rules for name in re.findall(r"pipeline_\w+", rule["expr"])}
    given = [{"series": name, "values": " ".join(values)} for name, values in series.items() if name.split("{")[0] in used]
    test = {"interval": "1m", "input_series": given, "alert_rule_test": wanted}
    return yaml.safe_dump({"rule_files": [RULES.name], "evaluation_interval": "1m", "tests": [test]})


def _described(rule: dict[str, Any], alert: dict[str, Any]) -> dict[str, Any]:
    text = rule["annotations"]["summary"]
    for name, value in alert["exp_labels"].items():
        text = text.replace(f"{{{{ $labels.{name} }}}}", value)
    return {"exp_labels": alert["exp_labels"], "exp_annotations": {"summary": text}}


def test_every_series_that_an_increase_is_asked_of_exists_from_the_start() -> None:
    pages = (WorkerMetrics().page() + GatewayMetrics().page()).decode()
    present = {sample.name for family in text_string_to_metric_families(pages) for sample in family.samples}
    asked = set(re.findall(r"increase\((pipeline_\w+)", RULES.read_text()))
    assert asked
    assert asked <= present


def test_dead_letters_have_no_kind_that_is_not_there_from_the_start() -> None:
    """The reasons are what `decode` gives records up for, as its source names them; the stages are those of the order."""
    assert set(STAGES) == {"decode", "worker", *(stage.name for stage in ERRORS.stages)}
    named = set()
    for file in (ROOT / "pipeline" / "stages" / "decode").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if (
                isinstance(node, ast.Call)
                and getattr(node.func, "id", "") == "RefusalError"
                and isinstance(node.args[0], ast.Constant)
            ):
                named.add(node.args[0].value)
    assert named <= set(REFUSALS)
    assert len(set(DEAD_LETTERS)) == len(DEAD_LETTERS)
