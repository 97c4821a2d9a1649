"""Inbound filters against `suites/ingest/filters.jsonl`, and the conditions that are refused (docs/spec/filters.md)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.suites import suite_cases

from pipeline.filters.conditions import ConditionError, parse_condition
from pipeline.filters.filters import Filters


def _rows(file: Path) -> list[tuple[str, Any]]:
    return [(row["id"], row) for row in map(json.loads, file.read_text().splitlines())]


def _numbered(file: Path) -> list[tuple[str, Any]]:
    return [(str(number), row) for number, row in enumerate(json.loads(file.read_text()))]


@pytest.mark.parametrize("case", suite_cases("ingest/filters.jsonl", _rows))
def test_gives_the_published_reason(case: dict[str, Any]) -> None:
    filters = Filters.from_relay(case["filterSettings"], case.get("globalFilters"))
    assert filters.first_match(case["event"], case["client_ip"]) == case["expect"]["reason"]


@pytest.mark.parametrize("case", suite_cases("ingest/rule_conditions.json", _numbered))
def test_refuses_the_conditions_that_are_refused(case: dict[str, Any]) -> None:
    if case["error"] is None:
        parse_condition(case["condition"])
    else:
        with pytest.raises(ConditionError, match=case["error"]):
            parse_condition(case["condition"])
