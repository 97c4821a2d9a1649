"""Envelopes that Relay reads or refuses, at the level of parsing (docs/spec/envelopes.md)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.suites import Cases, suite_cases

from pipeline.model.envelope import EnvelopeError, parse_envelope


def by_title(file: Path) -> Cases:
    yield from ((case["title"], case) for case in json.loads(file.read_text()))


def read(case: dict[str, Any]) -> list[tuple[str, str]]:
    envelope = parse_envelope(case["body"].encode())
    if request := case.get("request"):
        envelope.require_agreement(request["project_id"], request["public_key"])
    return [(item.type, item.payload.decode()) for item in envelope.items]


@pytest.mark.parametrize("case", suite_cases("ingest/envelopes.json", by_title))
def test_envelopes(case: dict[str, Any]) -> None:
    if case["error"] is None:
        assert read(case) == [tuple(item) for item in case["items"]]
    else:
        with pytest.raises(EnvelopeError) as refused:
            read(case)
        assert case["error"].startswith(str(refused.value))
