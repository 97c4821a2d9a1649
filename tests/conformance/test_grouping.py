"""Grouping against the suites. Hashes and what contributes must be equal; the wording of hints may differ."""

from __future__ import annotations

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sentry_ophio.glob import is_glob_match
from support.grouping import bases_of, make_grouper
from support.suites import ROOT, suite_cases

from pipeline.grouping.explain.rule_tracing import probe_of
from pipeline.grouping.grouper import Grouper
from pipeline.grouping.grouping_frame import GroupingFrame, rows_of
from pipeline.grouping.stacktrace_rules import ophio
from pipeline.grouping.stacktrace_rules.parser import parse_stacktrace_rules
from pipeline.grouping.stacktrace_rules.rule import FlagAction, SettingAction, StackTraceRule
from pipeline.grouping.stacktrace_rules.rule_set import exception_data, match_frame
from pipeline.model.errors import InvalidRulesError
from pipeline.model.rule_file import RuleFile
from pipeline.stages.normalize import normalize_event

RECEIVED = 1_795_341_600.0
REACHES = {"^": "up", "v": "down", "": None}


@cache
def _reference(enhancements: str, fingerprints: str, *, builtin: bool) -> Grouper:
    """Return a grouper with the rule texts that the suites' hashes were computed with."""
    texts = ROOT / "grouping" / "rules"
    bases = bases_of(
        enhancements=(texts / "enhancements.newstyle@2023-01-11.txt").read_text(),
        fingerprints=(texts / "fingerprinting.javascript@2024-02-02.txt").read_text(),
    )
    toml = f'strategy = "newstyle:2023-01-11"\nhash = "md5"\nbuiltin_fingerprints = {str(builtin).lower()}\n'
    return make_grouper(toml=toml, enhancements=enhancements, fingerprints=fingerprints, bases=bases)


def _of_case(case: dict[str, Any]) -> Grouper:
    config = case["config"]
    return _reference(config["custom_enhancements"] or "", "", builtin=config["builtin_fingerprinting_applied"])


def _named(file: Path) -> list[tuple[str, Any]]:
    return [(case.get("name", str(number)), case) for number, case in enumerate(json.loads(file.read_text())["cases"])]


def _outline(component: dict[str, Any]) -> Any:
    """Return what must agree: ids, contributes and values, without hints."""
    values = [_outline(value) if isinstance(value, dict) else value for value in component["values"]]
    return {"id": component["id"], "contributes": component["contributes"], "values": values}


def _printed(component: dict[str, Any]) -> Any:
    """Return a component without its empty children, as the snapshots print it."""
    values = [value for value in component["values"] if not isinstance(value, dict) or value["values"] or value["hint"]]
    return component | {"values": [_printed(value) if isinstance(value, dict) else value for value in values]}


@pytest.mark.parametrize("case", suite_cases("grouping/newstyle-2023-01-11/*.json"))
def test_reaches_the_published_snapshot(case: dict[str, Any]) -> None:
    explained = _of_case(case).explain(copy.deepcopy(case["normalized"])).to_json()

    expected = case["expected"]
    assert explained["hashes"] == expected["hashes"]
    assert explained["primary_hash"] == expected["hashes"][0]
    assert explained["variants"].keys() == expected["variants"].keys()
    for name, variant in expected["variants"].items():
        found = explained["variants"][name]
        assert (found["hash"], found["contributes"]) == (variant["hash"], variant["contributes"])
        if variant.get("component") is not None:
            assert _outline(_printed(found["component"])) == _outline(variant["component"])
            assert found["description"] == variant["description"]


@pytest.mark.parametrize("case", suite_cases("grouping/newstyle-2023-01-11/*.json"))
def test_groups_as_it_explains_and_again_the_same(case: dict[str, Any]) -> None:
    grouper, event = _of_case(case), copy.deepcopy(case["normalized"])

    first = grouper.group(event)
    written = copy.deepcopy(event)

    assert list(first.hashes) == case["expected"]["hashes"]
    assert grouper.group(event) == first
    assert event == written
    assert grouper.explain(event).hashes == first.hashes
    assert grouper.group(copy.deepcopy(case["normalized"])) == first  # now from the cache


@pytest.mark.parametrize("case", suite_cases("grouping/extra-2025/*.json"))
def test_reaches_the_snapshots_of_2025(case: dict[str, Any]) -> None:
    explained = _of_case(case).explain(case["normalized"]).to_json()

    assert explained["hashes"] == case["expected"]["hashes"]
    for name, hash_ in case["expected"]["hash_by_variant"].items():
        assert explained["variants"][name]["hash"] == hash_


@pytest.mark.parametrize("case", suite_cases("grouping/oracle-sample.jsonl"))
def test_agrees_with_the_oracle(case: dict[str, Any]) -> None:
    grouper = _reference(case["rules"]["enhancements"], case["rules"]["fingerprints"], builtin=True)
    event: Any = normalize_event(case["event"], received=RECEIVED, project_id=1, event_id=case["event"]["event_id"])
    expected = case["expected"]

    explained = grouper.explain(copy.deepcopy(event)).to_json()
    grouping = grouper.group(event)

    assert list(grouping.hashes) == explained["hashes"] == expected["hashes"]
    found = {
        name: {"hash": variant["hash"], "contributes": variant["contributes"]} for name, variant in explained["variants"].items()
    }
    assert found == expected["variants"]
    assert expected["fingerprint"] in (None, explained["fingerprint"])
    assert expected["title"] in (None, grouping.title)


def _with_hashes(file: Path) -> list[tuple[str, Any]]:
    """Return the case if it has hashes. The others are about matching alone, before stacks are normalized."""
    case = json.loads(file.read_text())
    return [("", case)] if case["expected"]["hashes"] else []


@pytest.mark.parametrize("case", suite_cases("grouping/fingerprinting/*.json", _with_hashes))
def test_groups_by_the_fingerprint_of_a_rule(case: dict[str, Any]) -> None:
    rules = "\n".join(case["config"]["fingerprinting_rules_text"])
    explained = _reference("", rules, builtin=False).explain(case["normalized"]).to_json()

    assert explained["fingerprint"] == case["expected"]["fingerprint"]
    assert explained["hashes"] == case["expected"]["hashes"]
    custom = case["expected"]["variants"].get("custom-fingerprint")
    if custom is not None:
        assert explained["variants"]["custom-fingerprint"]["values"] == custom["values"]


@pytest.mark.parametrize("case", suite_cases("grouping/enhancer-apply.json", _named))
def test_applies_a_rule(case: dict[str, Any]) -> None:
    frame = dict(case["frame_in"])
    event: Any = {"platform": case["platform"], "stacktrace": {"frames": [frame]}}
    before = make_grouper().group(copy.deepcopy(event)).hashes

    hashes = make_grouper(enhancements=case["rules"]).group(event).hashes

    if "component_is_sentinel_frame" in case:  # the flag is parsed, but changes no hash
        (rule,) = parse_stacktrace_rules([RuleFile("case.rules", case["rules"])])
        assert rule.actions == (FlagAction("sentinel", case["component_is_sentinel_frame"]),)
        assert hashes == before
    else:
        assert frame["in_app"] == case.get("frame_out_in_app", case.get("frame_out", {}).get("in_app"))


@pytest.mark.parametrize("case", suite_cases("grouping/enhancer-matching.json", _named))
def test_matches_frames(case: dict[str, Any]) -> None:
    (rule,) = parse_stacktrace_rules([RuleFile("case.rules", case["rule"])])
    frames = [match_frame(GroupingFrame._make(row), case["platform"]) for row in rows_of(case["frames"])]

    marked = ophio.modify(ophio.compile_rule(probe_of(rule)), frames, exception_data(case["exception"]))

    assert [index for index, (category, _) in enumerate(marked) if category is not None] == case[
        "expected_matching_frame_indexes"
    ]


def _dump(rule: StackTraceRule) -> Any:
    actions = [
        {"var": action.name, "value": action.value}
        if isinstance(action, SettingAction)
        else {"key": action.flag, "flag": action.value, "range": REACHES[action.reach]}
        for action in rule.actions
    ]
    matchers = [{"key": matcher.key, "negated": matcher.negated, "pattern": matcher.pattern} for matcher in rule.matchers]
    return {"matchers": matchers, "actions": actions}


@pytest.mark.parametrize("case", suite_cases("grouping/enhancer-parsing/*.json"))
def test_parses_rules_and_refuses_others(case: dict[str, Any]) -> None:
    if "expected_dump" in case:
        rules = parse_stacktrace_rules([RuleFile("case.rules", case["text"])])
        for dump in case["expected_dump"].values():
            assert [_dump(rule) for rule in rules] == dump["rules"]
    for text in case.get("must_raise", []):
        with pytest.raises(InvalidRulesError):
            parse_stacktrace_rules([RuleFile("case.rules", text)])
    for text in case.get("must_parse_but_never_match", []):
        (rule,) = parse_stacktrace_rules([RuleFile("case.rules", text)])
        for in_app in (True, False, None):
            (frame,) = (
                match_frame(GroupingFrame._make(row), "javascript") for row in rows_of([{"function": "x", "in_app": in_app}])
            )
            assert ophio.modify(ophio.compile_rule(probe_of(rule)), [frame], exception_data(None)) == [(None, in_app)]


@pytest.mark.parametrize("case", suite_cases("grouping/in-app-normalization.json", _named))
def test_sets_in_app_where_nobody_did(case: dict[str, Any]) -> None:
    event: Any = case["input"]

    make_grouper().group(event)

    found = [[frame["in_app"] for frame in exception["stacktrace"]["frames"]] for exception in event["exception"]["values"]]
    assert found == case["expected_in_app"]


@pytest.mark.parametrize("case", suite_cases("grouping/glob.json", _named))
def test_matches_globs(case: dict[str, Any]) -> None:
    found = is_glob_match(
        case["value"],
        case["pattern"],
        double_star=case.get("doublestar", False),
        case_insensitive=case.get("ignorecase", False),
        allow_newline=case.get("allow_newline", True),
    )

    assert found == case["expected"]
