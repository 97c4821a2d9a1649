"""Titles, culprits and metadata, row by row against `suites/ingest/titles_culprits.json`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from support.suites import suite_cases

from pipeline.model.title import culprit, metadata, title


def _rows(file: Path) -> list[tuple[str, Any]]:
    return [(f"{row['kind']}-{number}", row) for number, row in enumerate(json.loads(file.read_text()))]


@pytest.mark.parametrize("case", suite_cases("ingest/titles_culprits.json", _rows))
def test_names_events_as_published(case: dict[str, Any]) -> None:
    if case["kind"] == "title":
        assert title(case["event_type"], case["metadata"]) == case["expect"]
    elif case["kind"] == "metadata":
        assert metadata(case["event"]) == case["expect"]
    elif isinstance(case["event"], list):  # not an event: such cases test how values are hashed
        assert hashlib.md5("".join(case["event"]).encode(), usedforsecurity=False).hexdigest() == case["expect"]
    else:
        event = case["event"]
        if "values" not in event.get(
            "exception", {"values": []}
        ):  # one exception in place of the list, as normalization reads it
            event["exception"] = {"values": [event["exception"]]}
        assert culprit(event) == case["expect"]
