"""The checker of tests/support/snuba.py against Snuba's own messages: all are read, and each cell that says error is refused."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.snuba import check_event_message, check_outcome
from support.suites import Cases, suite_cases

Case = dict[str, Any]


def the_message(file: Path) -> Cases:
    yield "", json.loads(file.read_text())["message"]


def the_replacements(file: Path) -> Cases:
    yield from ((Path(name).stem, case["message"]) for name, case in json.loads(file.read_text()).items())


EVENTS = [
    *suite_cases("storage/events__*.json", the_message),
    *suite_cases("storage/pytest__*.json", the_message),
    *suite_cases("storage/fixture__*.json", the_message),
]


@pytest.mark.parametrize("message", EVENTS)
def test_events_are_read(message: list[Any]) -> None:
    assert check_event_message(json.dumps(message).encode()) == []


@pytest.mark.parametrize("message", suite_cases("storage/replacements.json", the_replacements))
def test_replacements_are_read(message: list[Any]) -> None:
    assert check_event_message(json.dumps(message).encode()) == []


@pytest.mark.parametrize("outcome", suite_cases("storage/outcomes*.json", the_message))
def test_outcomes_are_read(outcome: Case) -> None:
    assert check_outcome(outcome) == []


MISSING = object()
NON_UUID = "not-a-uuid"
NO_COLUMNS: tuple[Any, ...] = (-1, "12", 1.5)
NO_THREAD_IDS: tuple[Any, ...] = (-1, 1.5, [])
NO_MODULES: tuple[Any, ...] = ([], {"cffi": 1})

CELLS: list[tuple[str, Any]] = [
    *((path, value) for path in ("event_id", "group_id", "project_id") for value in (MISSING, None, NON_UUID)),
    ("group_id", -1),
    ("project_id", 2**64),
    *(("message", value) for value in (MISSING, None, 5)),
    *(("primary_hash", value) for value in (MISSING, None)),
    *(("data", value) for value in (MISSING, None, [])),
    ("datetime", None),
    ("group_first_seen", None),
    *(("retention_days", value) for value in (65_536, -1)),
    *((path, 1) for path in ("platform", "data.location", "data.version")),
    ("data.received", "1700000000"),
    ("data.type", "transaction"),
    *(("data.tags.0", value) for value in (["alone"], ["a", "b", "c"], "a=b", {"a": "b"})),
    ("data.contexts.runtime", "CPython"),
    ("data.contexts.trace.trace_id", NON_UUID),
    ("data.contexts.trace.sampled", "yes"),
    ("data.contexts.replay", {"replay_id": NON_UUID}),
    ("data.contexts.flags.values", {"flag": "a", "result": True}),
    *(("data.exception.values.0.stacktrace.frames.0.colno", value) for value in NO_COLUMNS),
    ("data.exception.values.0.stacktrace.frames.0.in_app", "yes"),
    *(("data.exception.values.0.thread_id", value) for value in NO_THREAD_IDS),
    ("data.threads", {"values": [{"id": 1.5}]}),
    *(("data.modules", value) for value in NO_MODULES),
    ("data.request.headers", {"Host": "a"}),
    ("data.sdk.integrations", "argv"),
    ("data.user.ip_address", 2130706433),
    ("data.user.geo", "XY"),
    ("data.errors", {}),
    ("data.symbolicated_in_app", "no"),
]
"""Each field that Snuba refuses with another type (docs/spec/storage-messages.md), and a value to put there."""


@pytest.mark.parametrize(
    ("path", "value"), CELLS, ids=[f"{path}-{'missing' if value is MISSING else value}" for path, value in CELLS]
)
def test_each_cell_that_says_error_is_refused(path: str, value: Any, whole_message: list[Any]) -> None:
    *parents, last = path.split(".")
    holder: Any = whole_message[2]
    for name in parents:
        holder = holder[int(name)] if isinstance(holder, list) else holder[name]
    if value is MISSING:
        del holder[last]
    elif isinstance(holder, list):
        holder[int(last)] = value
    else:
        holder[last] = value
    assert check_event_message(json.dumps(whole_message).encode()) != []


SHAPES: dict[str, Callable[[list[Any]], Any]] = {
    "version as text": lambda message: ["2", *message[1:]],
    "version 1": lambda message: [1, *message[1:]],
    "an insert of 3": lambda message: message[:3],
    "an insert of 5": lambda message: [*message, {}],
    "another operation of 4": lambda message: [2, "banana", *message[2:]],
    "an object": lambda message: message[2],
    "nothing": lambda message: message[:0],
    "the same field under both names": lambda message: [
        *message[:2],
        message[2] | {"data": message[2]["data"] | {"sentry.interfaces.Exception": None}},
        message[3],
    ],
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_other_shapes_are_refused(shape: Callable[[list[Any]], Any], whole_message: list[Any]) -> None:
    assert check_event_message(json.dumps(shape(whole_message)).encode()) != []


@pytest.mark.parametrize(
    "change",
    [
        {"org_id": None},
        {"event_id": NON_UUID},
        {"timestamp": "2023-03-28T18:50:44+00:00"},
        {"outcome": None},
        {"outcome": 7},
        {"key_id": -1},
    ],
    ids=str,
)
def test_outcomes_that_would_be_lost_are_refused(change: Case) -> None:
    outcome = {"timestamp": "2023-03-28T18:50:44.000000Z", "org_id": 1, "project_id": 1, "outcome": 1, "event_id": "4" * 32}
    assert check_outcome(outcome) == []
    assert check_outcome(outcome | change) != []


WHOLE_EVENT: dict[str, Any] = {
    "event_id": "9c1f7d0a52e84b0f8d3a6b5c4e2f1a07",
    "organization_id": 1,
    "project_id": 7,
    "group_id": 100,
    "group_first_seen": "2026-11-20T08:00:00.000000Z",
    "primary_hash": "c8b21c571231e989060b9110a2ade7d3",
    "platform": "python",
    "message": "PaymentError: card was refused shop.payment in charge",
    "datetime": "2026-11-22T12:00:00.250000Z",
    "retention_days": 90,
    "data": {
        "type": "error",
        "received": 1_795_348_801.0,
        "location": "shop/payment.py",
        "version": "7",
        "tags": [["level", "error"], ["environment", "prod"], ["sentry:release", "shop@1.3.0"], ["sentry:user", "id:1"]],
        "contexts": {
            "runtime": {"name": "CPython", "version": "3.11.2", "type": "runtime"},
            "trace": {"trace_id": "0e17a2aa2e164d06a816eace3e33a010", "span_id": "deadbeefdeadbeef", "sampled": True},
            "replay": {"replay_id": "1f7d0a529c1f4b0f8d3a6b5c4e2f1a07"},
            "flags": {"values": [{"flag": "new-checkout", "result": True}]},
        },
        "exception": {
            "values": [
                {
                    "type": "PaymentError",
                    "value": "card was refused",
                    "thread_id": 3,
                    "mechanism": {"type": "excepthook", "handled": False},
                    "stacktrace": {
                        "frames": [{"function": "charge", "module": "shop.payment", "lineno": 12, "colno": 4, "in_app": True}]
                    },
                }
            ]
        },
        "threads": {"values": [{"id": 3, "main": True, "crashed": True}]},
        "modules": {"cffi": "2.0.0", "shop": None},
        "request": {"method": "POST", "url": "https://shop.example/pay", "headers": [["Referer", "https://shop.example/cart"]]},
        "sdk": {"name": "sentry.python", "version": "2.75.0", "integrations": ["argv"]},
        "user": {"id": "1", "ip_address": "203.0.113.7", "geo": {"country_code": "DE", "city": "Berlin"}},
        "errors": [{"type": "invalid_data", "name": "dist"}],
        "symbolicated_in_app": True,
    },
}
"""Every field of the table, with a value that is read."""


@pytest.fixture
def whole_message() -> list[Any]:
    """Return a message that has every field of the table."""
    message: list[Any] = [2, "insert", copy.deepcopy(WHOLE_EVENT), {}]
    assert check_event_message(json.dumps(message).encode()) == []
    return message
