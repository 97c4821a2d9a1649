"""Normalization, case by case against `suites/ingest/normalize` (docs/spec/normalization.md)."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from support.comparing import drop_path, error_set, without_nulls
from support.records import make_record, project_context
from support.suites import suite_cases

from pipeline.model.item import Item
from pipeline.stages.decode import decode_record
from pipeline.stages.enrich import add_client_contexts
from pipeline.stages.normalize import normalize_event

ODDITIES = {"135"}
"""Left out: Relay's versions disagree about it."""

REPAIRED = {"111"}
"""Relay refuses the whole event for a lone surrogate. Here it costs a character, as docs/spec/normalization.md says."""

CASES = [
    case for case in suite_cases("ingest/normalize/*.json") if case.values[0] is None or case.values[0]["id"] not in ODDITIES
]


def _body(case: dict[str, Any]) -> bytes:
    return case["input_raw"].encode() if "input_raw" in case else json.dumps(case["input"]).encode()


def _is_event(case: dict[str, Any]) -> bool:
    """Whether the case is about an error event; transactions and what is no event never reach normalization."""
    sent = case.get("input")
    if "input_raw" in case and not case["error"]:
        sent = json.loads(case["input_raw"])
    return isinstance(sent, dict) and not case["error"] and sent.get("type") != "transaction"


@pytest.mark.parametrize("case", CASES)
def test_normalizes_as_published(case: dict[str, Any]) -> None:
    if not _is_event(case):
        ends = decode_record(make_record(_body(case), project_id=42), project_context())
        assert any(isinstance(end, Item) for end in ends) == (case["id"] in REPAIRED)
        return
    config, expected = case["config"], case["output"]
    event: Any = normalize_event(
        json.loads(_body(case)),
        received=datetime.fromisoformat(config["received_at"]).timestamp(),
        project_id=config["project_id"],
        event_id="f" * 32,
        client_ip=config["client_ip"],
        infer_ip="0.9.0" in case["oracle"],  # the package of later versions does not infer addresses, the server does
        key_id=int(config["key_id"]),
        sdk=config["client"],
        max_s_in_future=config["max_secs_in_future"],
        max_s_in_past=config["max_secs_in_past"],
        max_tags=None,  # Relay has no such limit
    )
    add_client_contexts(event)
    event = json.loads(json.dumps(event))
    for path in case.get("volatile", ()):
        drop_path(event, path)
        drop_path(expected, path)
    only = case.get("compare_only")
    if only:
        event, expected = ({key: side.get(key) for key in only} for side in (event, expected))
    assert error_set(event) == error_set(expected)
    event.pop("errors", None)
    expected.pop("errors", None)
    assert without_nulls(event) == without_nulls(expected)
