"""The rows that Snuba makes of its example messages, column by column where the store has the column."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from support.suites import Cases, suite_cases

from pipeline.model.record import Form, Record, Token
from pipeline.store.outcome_rows import read_outcome
from pipeline.store.rows import Control, EventRow, read_storage_message

Case = dict[str, Any]


def with_rows(file: Path) -> Cases:
    """Yield a file's case if it says what the row is."""
    case = json.loads(file.read_text())
    if case.get("expected_rows"):
        yield "", case


def the_replacements(file: Path) -> Cases:
    yield from ((Path(name).stem, case["message"]) for name, case in json.loads(file.read_text()).items())


def record_of(message: Any) -> Record:
    return Record(json.dumps(message).encode(), Form.JSON, "events", (2, 2), 1_700_000_000.0, Token("t", 2, 2))


def empty(value: Any) -> Any:
    return "" if value is None else value


def epoch_ms(value: str) -> int:
    return round(datetime.fromisoformat(value).replace(tzinfo=UTC).timestamp() * 1e3)


def no_id(value: Any) -> str:
    return str(uuid.UUID(value)) if value else str(uuid.UUID(int=0))


SAME: dict[str, tuple[str, Callable[[Any], Any], Callable[[Any], Any]]] = {
    **{
        name: (name, empty, lambda value: value)
        for name in (
            *("project_id", "group_id", "event_id", "primary_hash", "platform", "environment", "release", "dist", "user"),
            *("user_id", "user_email", "user_name", "sdk_name", "sdk_version", "http_method", "http_referer", "message", "title"),
            *("culprit", "level", "location", "type"),
        )
    },
    "transaction_name": ("transaction", empty, lambda value: value),
    "ip_address_v4": ("ip_address", empty, lambda value: value),
    "timestamp_ms": ("timestamp", int, epoch_ms),
    "timestamp": ("timestamp", int, lambda value: epoch_ms(value) // 1_000),
    "received": ("received", int, lambda value: epoch_ms(value) // 1_000),
    "group_first_seen": ("group_first_seen", int, lambda value: epoch_ms(value) // 1_000),
    "trace_id": ("trace_id", no_id, lambda value: value),
    "replay_id": ("replay_id", no_id, lambda value: value),
    "span_id": ("span_id", empty, lambda value: int(value, 16) if value else ""),
    "trace_sampled": ("trace_sampled", bool, bool),
    "exception_main_thread": ("is_in_main_thread", bool, bool),
    "symbolicated_in_app": ("symbolicated_in_app", bool, bool),
    "num_processing_errors": ("processing_errors", int, int),
    "tags.key": ("tag_keys", list, list),
    "tags.value": ("tag_values", list, list),
    "flags.key": ("flag_keys", list, list),
    "flags.value": ("flag_values", list, list),
    "exception_stacks.type": ("exception_types", lambda values: [empty(value) for value in values], list),
    "exception_stacks.value": ("exception_values", lambda values: [empty(value) for value in values], list),
    "exception_stacks.mechanism_type": ("mechanism_types", lambda values: [empty(value) for value in values], list),
    "exception_stacks.mechanism_handled": ("mechanism_handled", list, list),
    "exception_frames.abs_path": ("frame_abs_paths", lambda values: [empty(value) for value in values], list),
    "exception_frames.filename": ("frame_filenames", lambda values: [empty(value) for value in values], list),
    "exception_frames.module": ("frame_modules", lambda values: [empty(value) for value in values], list),
    "exception_frames.function": ("frame_functions", lambda values: [empty(value) for value in values], list),
    "exception_frames.package": ("frame_packages", lambda values: [empty(value) for value in values], list),
    "exception_frames.lineno": ("frame_lines", lambda values: [value or 0 for value in values], list),
    "exception_frames.in_app": ("frame_in_app", lambda values: [int(bool(value)) for value in values], list),
}
"""Snuba's column: the store's, and how each is read for the comparison. An absent value of Snuba's is null."""

OTHERS = frozenset(
    {
        *("contexts.key", "contexts.value", "modules.name", "modules.version", "sdk_integrations", "version", "sample_weight"),
        *("exception_frames.colno", "exception_frames.stack_level"),  # not asked for: the body has them
        *("partition", "offset", "message_timestamp", "deleted", "ip_address_v6"),
        "retention_days",  # Snuba knows 30, 60 and 90 days; the store keeps what the project says
    }
)

EVENTS = [
    *suite_cases("storage/events__*.json", with_rows),
    *suite_cases("storage/pytest__*.json", with_rows),
]


@pytest.mark.parametrize("case", EVENTS)
def test_rows_of_events(case: Case) -> None:
    [expected] = case["expected_rows"]
    row = read_storage_message(record_of(case["message"]))
    assert isinstance(row, EventRow)
    found = orjson.loads(row.event)
    assert expected.keys() - SAME.keys() - OTHERS == set()
    for name, (own, theirs, ours) in SAME.items():
        if name in expected:
            assert ours(found[own]) == theirs(expected[name]), name
    assert orjson.loads(orjson.loads(row.body)["body"]) == case["message"][2]["data"]


@pytest.mark.parametrize("case", suite_cases("storage/fixture__*.json"))
def test_messages_without_a_known_row_have_one(case: Case) -> None:
    assert isinstance(read_storage_message(record_of(case["message"])), EventRow)


@pytest.mark.parametrize("message", suite_cases("storage/replacements.json", the_replacements))
def test_replacements_are_control_messages(message: list[Any]) -> None:
    control = read_storage_message(record_of(message))
    assert isinstance(control, Control)
    assert (control.operation, control.project_id) == (message[1], message[2]["project_id"])


@pytest.mark.parametrize("case", suite_cases("storage/outcomes*.json", with_rows))
def test_rows_of_outcomes(case: Case) -> None:
    [expected] = case["expected_rows"]
    found = orjson.loads(read_outcome(record_of(case["message"])))
    assert epoch_ms(found["timestamp"]) == expected["timestamp"] * 1_000
    assert found["quantity"] == expected.get("quantity64", expected["quantity"])
    assert found["event_id"] == no_id(expected["event_id"])
    for name in ("org_id", "project_id", "key_id", "outcome", "category", "reason"):
        assert (found[name] or 0) == (expected[name] or 0), name
