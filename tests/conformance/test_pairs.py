"""No newer configuration does worse than an older one on events that belong together, or apart.

The suites say so of events in three ways: cases that name pairs, events with one published hash, and names and messages that have
one published form. What an older configuration gets right, each newer one must get right too.
"""

from __future__ import annotations

import copy
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from support.grouping import make_grouper, own_bases
from support.suites import NO_SUITES, ROOT, suite_cases

from pipeline.grouping.configurations import CONFIGURATIONS
from pipeline.grouping.function_names import trim_function
from pipeline.grouping.grouper import Grouper
from pipeline.grouping.parameterization.messages import parameterize
from pipeline.grouping.strategies.generated_names import TABLES
from pipeline.stages.normalize import normalize_event

RECEIVED = 1_795_341_600.0
PAIRS = ROOT.parent / "field" / "cases"
"""Cases that name events which belong together, or apart."""

BEFORE_THIS_RULE = frozenset({"pipeline:2026-11-22"})
"""Released before this was a rule: it splits lambdas of Android's compilers that `newstyle:2023-01-11` keeps together."""

VERSIONS = [(older, newer) for older, newer in combinations(CONFIGURATIONS, 2) if newer not in BEFORE_THIS_RULE]
"""Each configuration with each one before it, as (older, newer)."""


@cache
def grouper(strategy: str, enhancements: str, fingerprints: str) -> Grouper:
    toml = f'strategy = "{strategy}"\n'
    return make_grouper(toml=toml, enhancements=enhancements, fingerprints=fingerprints, bases=own_bases())


def primary_hash(strategy: str, rules: tuple[str, str], event: Any) -> str:
    return grouper(strategy, *rules).group(copy.deepcopy(event)).hashes[0]


def normalized(event: dict[str, Any]) -> Any:
    event_id = event.get("event_id") or "0" * 32
    return normalize_event(copy.deepcopy(event), received=RECEIVED, project_id=1, event_id=event_id)


def named_pairs() -> list[Any]:
    """Return each case that names pairs of events and needs no builds, as a parameter."""
    files = sorted(PAIRS.glob("*/*.json"))
    cases = [(file, json.loads(file.read_text())) for file in files]
    chosen = [
        pytest.param(case, id=f"{file.parent.name}/{file.stem}")
        for file, case in cases
        if not case.get("artifacts") and any(check.keys() & {"together", "apart"} for check in case["checks"])
    ]
    return chosen or [pytest.param(None, id=NO_SUITES, marks=pytest.mark.skip(reason=f"{NO_SUITES} at {PAIRS}"))]


def expanded(value: Any) -> Any:
    """Return a value of a case with its shorthands for long texts written out."""
    if isinstance(value, dict):
        if "$repeat" in value:
            return value["$repeat"] * value["times"]
        return {key: expanded(one) for key, one in value.items()}
    return [expanded(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("case", named_pairs())
def test_named_pairs(case: dict[str, Any]) -> None:
    rules = case.get("rules", {})
    texts = (rules.get("default/enhancements.rules", ""), rules.get("default/fingerprints.rules", ""))
    events = {name: normalized(expanded(event)) for name, event in case["events"].items()}
    held: dict[str, set[tuple[str, ...]]] = {}
    for strategy in CONFIGURATIONS:
        hashes = {name: primary_hash(strategy, texts, event) for name, event in events.items()}
        held[strategy] = {
            (word, *pair)
            for check in case["checks"]
            for word in check.keys() & {"together", "apart"}
            for pair in combinations(check[word], 2)
            if (hashes[pair[0]] == hashes[pair[1]]) == (word == "together")
        }

    for older, newer in VERSIONS:
        assert held[older] <= held[newer]


def split_groups(events: dict[str, Any], older: Callable[[Any], str], newer: Callable[[Any], str]) -> list[set[str]]:
    """Return the groups of the older that the newer splits."""
    groups: defaultdict[str, set[str]] = defaultdict(set)
    for name, event in events.items():
        groups[older(event)].add(name)
    return [names for names in groups.values() if len({newer(events[name]) for name in names}) > 1]


def published(sample: Path) -> Iterator[tuple[str, str, str, Any]]:
    """Yield the published events that can be grouped with our base rules: name, stack-trace rules, fingerprint rules, event."""
    for parameter in suite_cases("grouping/newstyle-2023-01-11/*.json"):
        case = parameter.values[0]
        yield case["name"], case["config"]["custom_enhancements"] or "", "", case["normalized"]
    for line in filter(None, sample.read_text().splitlines()):
        case = json.loads(line)
        yield case["id"], case["rules"]["enhancements"], case["rules"]["fingerprints"], normalized(case["event"])


@pytest.mark.parametrize("sample", suite_cases("grouping/oracle-sample.jsonl", lambda file: [("", file)]))
@pytest.mark.parametrize(("older", "newer"), VERSIONS)
def test_published_events_of_one_group_stay_together(older: str, newer: str, sample: Path) -> None:
    by_rules: defaultdict[tuple[str, str], dict[str, Any]] = defaultdict(dict)
    for name, enhancements, fingerprints, event in published(sample):
        by_rules[enhancements, fingerprints][name] = event

    for texts, events in by_rules.items():
        assert split_groups(events, partial(primary_hash, older, texts), partial(primary_hash, newer, texts)) == []


def forms(case: Any, *keys: str) -> defaultdict[tuple[str, ...], list[str]]:
    """Return the inputs of a suite's cases by what they are to become."""
    found: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for one in case["cases"] if case else ():
        found[tuple(str(one.get(key)) for key in keys)].append(one["input"])
    return found


@pytest.mark.parametrize("case", suite_cases("grouping/function-trimming.json"))
@pytest.mark.parametrize("table", TABLES)
def test_names_of_one_published_form_stay_one(case: Any, table: str) -> None:
    for (platform, _), names in forms(case, "platform", "expected").items():
        cleaned = {TABLES[table].clean(trim_function(name, platform), platform, "function")[0] for name in names}
        assert len(cleaned) == 1, names


@pytest.mark.parametrize("case", suite_cases("grouping/message-parameterization.json"))
@pytest.mark.parametrize("strategy", CONFIGURATIONS)
def test_messages_of_one_published_form_stay_one(case: Any, strategy: str) -> None:
    version = CONFIGURATIONS[strategy].parameterization
    for (expected,), texts in forms(case, "expected_base").items():
        assert len({parameterize(text, version) for text in texts}) == 1, expected
