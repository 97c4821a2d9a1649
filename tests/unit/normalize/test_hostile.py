"""Whatever JSON comes in, the four stages finish, repeat themselves, and leave nothing that the storage refuses."""

from __future__ import annotations

import copy
import json
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import snuba

from pipeline.filters.filters import Filters
from pipeline.model.event import as_json
from pipeline.model.title import name_event
from pipeline.scrubbing.scrubber import Scrubber
from pipeline.stages.enrich import add_client_contexts
from pipeline.stages.normalize import normalize_event
from pipeline.stages.normalize.protocol import ALIASES, FIELDS

RECEIVED = 1_772_366_400.0
EVENT_ID = "0123456789abcdef0123456789abcdef"

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**63, 2**64, -(2**63) - 1, 10**400, float("nan"), float("inf"), -1e308, 1e20]),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        ["error", "transaction", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "{{auto}}", "http://[", "%(a)s %s %", "x" * 9000]
    ),
)
KEYS = st.one_of(
    st.sampled_from(
        sorted({*FIELDS, *ALIASES, "message", "logentry", "tags", "_meta", "errors", "event_id", "timestamp", "type"})
    ),
    st.sampled_from(
        ["values", "frames", "stacktrace", "mechanism", "id", "trace", "trace_id", "sampled", "headers", "data", "", "vars"]
    ),
    st.sampled_from(
        ["replay", "replay_id", "flags", "images", "lineno", "colno", "in_app", "ip_address", "geo", "params", "url", "main"]
    ),
    st.text(max_size=8),
)
JSON = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=5)), max_leaves=25
)
EVENTS = st.dictionaries(KEYS, JSON, max_size=8)

SCRUBBER = Scrubber.from_relay(
    {"scrubData": True, "scrubDefaults": True, "scrubIpAddresses": True, "sensitiveFields": ["zip"], "excludeFields": ["safe"]},
    {"applications": {"**": ["@email"], "$user.ip_address": ["@ip:hash"], "extra.*.0": ["@anything:mask"]}},
)
FILTERS = Filters.from_relay(
    {
        "generic": {
            "version": 1,
            "filters": [
                {"id": "g", "isEnabled": True, "condition": {"op": "glob", "name": "event.tags.x", "value": ["never-*"]}},
                {"id": "h", "isEnabled": True, "condition": {"op": "gt", "name": "event.extra.n", "value": 1e300}},
            ],
        },
        "csp": {"disallowedSources": ["never.example"]},
        "clientIps": {"blacklistedIps": ["192.0.2.0/24"]},
        "releases": {"releases": ["never-*"]},
        "errorMessages": {"patterns": ["never ?*[x]"]},
        "localhost": {"isEnabled": True},
        "browserExtensions": {"isEnabled": True},
        "legacyBrowsers": {"isEnabled": True, "options": ["default"]},
        "webCrawlers": {"isEnabled": True},
    }
)


def _through(event: Any) -> Any:
    result = normalize_event(event, received=RECEIVED, project_id=7, event_id=EVENT_ID, client_ip="192.0.3.1")
    FILTERS.first_match(result, "192.0.3.1")
    SCRUBBER.scrub(result)
    add_client_contexts(result)
    name_event(result)
    return result


def _message(event: Any) -> bytes:
    return orjson.dumps(
        [
            2,
            "insert",
            {
                "group_id": 1,
                "event_id": event["event_id"],
                "project_id": 7,
                "message": "",
                "primary_hash": EVENT_ID,
                "data": event,
                "datetime": "2026-03-01T12:00:00.000000Z",
                "platform": event["platform"],
            },
            {},
        ]
    )


@given(EVENTS)
@settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_any_event_is_repaired_and_can_be_stored(event: Any) -> None:
    twin = copy.deepcopy(event)
    result = _through(event)
    assert orjson.dumps(result) == orjson.dumps(_through(twin))
    assert result["type"] != "transaction"
    assert result["platform"]
    assert type(result["timestamp"]) is float
    assert result["event_id"]
    assert snuba.check_event_message(_message(result)) == []


@given(EVENTS)
@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_normalizing_again_keeps_what_grouping_reads(event: Any) -> None:
    once = normalize_event(event, received=RECEIVED, project_id=7, event_id=EVENT_ID)
    again = normalize_event(copy.deepcopy(as_json(once)), received=RECEIVED, project_id=7, event_id="f" * 32)
    for name in ("event_id", "platform", "level", "logentry", "exception", "fingerprint", "timestamp", "tags", "user"):
        assert _settled(again.get(name)) == _settled(once.get(name)), name


def _settled(value: Any) -> bytes:
    """Print a field. What was refused in a list of exceptions or tags stands there as null once, and is gone the second time."""
    if isinstance(value, dict) and "values" in value:
        value = value["values"]
    if isinstance(value, list):
        value = [entry for entry in value if entry is not None]
    return orjson.dumps(value or None)


def _nested(levels: int) -> Any:
    value: Any = 1
    for level in range(levels):
        value = {"n": value} if level % 2 else [value]
    return value


@pytest.mark.parametrize(
    "field", ["extra", "contexts", "exception", "breadcrumbs", "tags", "request", "user", "logentry", "_meta", "nobody"]
)
def test_deep_nesting_ends_somewhere(field: str) -> None:
    for event in (
        {field: _nested(900)},
        {field: {"values": [{"data": _nested(900), "a": _nested(900)}]}},
        {field: [_nested(900)] * 3},
    ):
        result = _through(event)
        assert json.dumps(result)
        orjson.dumps(result)


def test_an_exception_of_ten_thousand_frames_keeps_both_ends() -> None:
    frames = [{"function": f"f{number}", "vars": {"a": "b"}} for number in range(10_000)]
    result = _through({"exception": {"values": [{"type": "E", "stacktrace": {"frames": frames}}]}})
    kept = [frame["function"] for frame in result["exception"]["values"][0]["stacktrace"]["frames"]]
    assert len(kept) == 250
    assert (kept[0], kept[-1]) == ("f0", "f9999")
