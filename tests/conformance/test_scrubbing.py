"""Scrubbing, case by case against `suites/ingest/pii`, and the selectors that are refused (docs/spec/scrubbing.md)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from support.comparing import without_nulls
from support.suites import suite_cases

from pipeline.scrubbing.scrubber import Scrubber
from pipeline.scrubbing.selectors import SelectorError, parse_selector
from pipeline.stages.normalize.request import parse_query

ODDITIES = {"044", "045", "059"}
"""Left out: accidents of the program that gave the answers (docs/spec/scrubbing.md, at its end)."""

CASES = [case for case in suite_cases("ingest/pii/*.json") if case.values[0] is None or case.values[0]["id"] not in ODDITIES]


def _selectors(file: Path) -> list[tuple[str, Any]]:
    rows = [row for row in json.loads(file.read_text()) if row["fn"] == "validate_pii_selector"]
    return [(str(number), row) for number, row in enumerate(rows)]


def _configs(file: Path) -> list[tuple[str, Any]]:
    rows = [row for row in json.loads(file.read_text()) if row["fn"] == "validate_pii_config"]
    return [(str(number), row) for number, row in enumerate(rows)]


def _in_shape(event: Any) -> Any:
    """Return the event its normalized shapes, as the oracle does when it reads one, and nothing else."""
    if "message" in event:
        event.setdefault("logentry", {"formatted": event["message"]})
        del event["message"]
    request = event.get("request") or {}
    if isinstance(request.get("query_string"), str):
        request["query_string"] = parse_query(request["query_string"])
    for name, context in (event.get("contexts") or {}).items():
        context.setdefault("type", name)
    return event


@pytest.mark.parametrize("case", CASES)
def test_scrubs_as_published(case: dict[str, Any]) -> None:
    event = _in_shape(case["input"])
    Scrubber.from_relay(case["datascrubbingSettings"], case["piiConfig"]).scrub(event)
    assert without_nulls(event) == without_nulls(case["output"])


@pytest.mark.parametrize("case", suite_cases("ingest/pii_validation.json", _selectors))
def test_refuses_the_selectors_that_are_refused(case: dict[str, Any]) -> None:
    if case["error"] is None:
        parse_selector(case["input"])
    else:
        with pytest.raises(SelectorError, match=re.escape(case["error"])):
            parse_selector(case["input"])


@pytest.mark.parametrize("case", suite_cases("ingest/pii_validation.json", _configs))
def test_refuses_the_configurations_that_are_refused(case: dict[str, Any]) -> None:
    def load() -> Scrubber:
        return Scrubber.from_relay(None, json.loads(case["input"]) or {})

    if case["error"] is None:
        load()
    else:
        with pytest.raises(ValueError):  # noqa: PT011 -- the words differ: those of the case are of another language's library
            load()
