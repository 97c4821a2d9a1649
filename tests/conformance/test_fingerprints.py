"""Fingerprint rules against the suites: parsing, matching, variables, and this project's built-in rules in place of Sentry's."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from support.grouping import make_grouper
from support.suites import suite_cases

from pipeline.grouping.fingerprint_rules.parser import parse_fingerprint_rules
from pipeline.grouping.fingerprint_rules.rule_set import FingerprintRules
from pipeline.grouping.fingerprint_rules.variables import resolve
from pipeline.model.rule_file import RuleFile
from pipeline.stages.normalize import normalize_event

BASES = Path(__file__).parents[2] / "rules" / "bases"
BUILTIN = BASES / "fingerprints@2026-11-22.rules"
"""The rules that `newstyle:2023-01-11` has in force."""


def _cases(file: Path) -> list[tuple[str, Any]]:
    return [(case["name"], case) for case in json.loads(file.read_text())["cases"]]


@pytest.mark.parametrize("case", suite_cases("grouping/fingerprint-rule-parsing.json", _cases))
def test_parses_rules(case: dict[str, Any]) -> None:
    rules, errors = parse_fingerprint_rules(RuleFile("case.rules", case["text"]))

    assert errors == []
    assert [rule.to_json() for rule in rules] == case["expected"]["rules"]
    printed, _ = parse_fingerprint_rules(RuleFile("case.rules", "\n".join(map(str, rules))))
    assert [rule.to_json() for rule in printed] == case["expected"]["rules"]


@pytest.mark.parametrize("case", suite_cases("grouping/fingerprinting/*.json"))
def test_gives_the_fingerprint(case: dict[str, Any]) -> None:
    text = "\n".join(case["config"]["fingerprinting_rules_text"])
    rules = FingerprintRules.load([RuleFile("case.rules", text)])
    assert [rule.to_json() for rule in rules.rules] == case["expected"]["rules_dump"]["rules"]

    event = case["normalized"]
    match = rules.match(event)

    fingerprint = match.values if match is not None else event.get("fingerprint") or ["{{ default }}"]
    assert fingerprint == case["expected"]["fingerprint"]
    custom = case["expected"]["variants"].get("custom-fingerprint")
    if custom is not None:
        assert [resolve(value, event) for value in fingerprint] == custom["values"]
        explained = make_grouper(fingerprints=text).explain(event).to_json()["variants"]["custom-fingerprint"]
        assert explained.get("client_values") == custom.get("client_values")


@pytest.mark.parametrize("case", suite_cases("grouping/builtin-fingerprinting.json", _cases))
def test_the_builtin_rules_decide_as_sentrys(case: dict[str, Any]) -> None:
    event = normalize_event(case["input"], received=1_795_341_600.0, project_id=1, event_id="1" * 32)
    rules = FingerprintRules.load([], RuleFile(BUILTIN.name, BUILTIN.read_text()))

    match = rules.match(event)

    assert match is not None
    assert match.is_builtin
    values = "".join(resolve(value, event) for value in match.values)
    assert hashlib.md5(values.encode(), usedforsecurity=False).hexdigest() == case["expected"]["hash"]
    expected_rule = case["expected"]["matched_rule"]
    assert match.rule.to_json()["matchers"] == expected_rule["matchers"]


@pytest.mark.parametrize("case", suite_cases("grouping/oracle-sample.jsonl"))
def test_agrees_with_the_oracle(case: dict[str, Any]) -> None:
    rules = FingerprintRules.load([RuleFile("case.rules", case["rules"]["fingerprints"])])

    match = rules.match(case["event"])

    if case["rules"]["fingerprints"]:
        unmatched = case["event"].get("fingerprint") or ["{{ default }}"]
        expected = case["expected"]["fingerprint"] or unmatched
        assert (match.values if match is not None else unmatched) == expected
        if match is not None and case["expected"]["fingerprint_values"]:
            assert [resolve(value, case["event"]) for value in match.values] == case["expected"]["fingerprint_values"]
    else:
        assert match is None
