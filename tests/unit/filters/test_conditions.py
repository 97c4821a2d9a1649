from __future__ import annotations

from typing import Any

import pytest

from pipeline.filters.conditions import ConditionError, Subject, lenient_condition, parse_condition

EVENT: Any = {
    "release": "shop@1.9.0",
    "level": "error",
    "tags": [["a.b", "x"], None, ["n", None]],
    "extra": {"n": 5, "deep": {"k.v": "w"}},
    "contexts": {"device": {"name": "phone"}},
    "request": {"headers": [None, ["X-Kind", "Test"]], "url": "https://h/"},
    "exception": {"values": [{"type": "A", "value": "x"}, None, {"type": "B", "value": "y"}]},
}


def _holds(condition: dict[str, Any]) -> bool:
    return parse_condition(condition)(Subject(EVENT, "192.0.2.1"))


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"op": "eq", "name": "event.tags.a.b", "value": "x"}, True),
        ({"op": "eq", "name": "event.extra.deep.k.v", "value": ["v", "w"]}, True),
        ({"op": "eq", "name": "event.extra.n", "value": 5.0}, True),
        ({"op": "eq", "name": "event.extra.n", "value": "5"}, False),
        ({"op": "eq", "name": "event.nothing", "value": None}, True),
        ({"op": "eq", "name": "event.request.headers.x-kind", "value": "TEST", "options": {"ignoreCase": True}}, True),
        ({"op": "gte", "name": "event.extra.n", "value": 5}, True),
        ({"op": "lt", "name": "event.level", "value": 5}, False),
        ({"op": "glob", "name": "event.contexts.device.name", "value": "PH*"}, True),
        ({"op": "cidr", "name": "envelope.client_ip", "value": ["192.0.2.0/30"]}, True),
        ({"op": "release", "name": "event.release", "comparator": "lt", "value": "shop@1.10.0"}, True),
        ({"op": "any", "name": "event.exception.values", "inner": {"op": "eq", "name": "ty", "value": "B"}}, True),
        ({"op": "all", "name": "event.exception.values", "inner": {"op": "eq", "name": "ty", "value": "B"}}, False),
        ({"op": "not", "inner": {"op": "or", "inner": []}}, True),
        ({"op": "any", "name": "event.level", "inner": {"op": "and", "inner": []}}, False),
    ],
)
def test_operators(condition: dict[str, Any], expected: bool) -> None:
    assert _holds(condition) is expected


def test_what_is_unknown_is_refused_in_files_and_never_matches_in_a_running_system() -> None:
    unknown = {"op": "and", "inner": [{"op": "zap", "name": "event.level"}]}
    with pytest.raises(ConditionError, match="unsupported"):
        parse_condition(unknown)
    assert not lenient_condition(unknown)(Subject(EVENT))


@pytest.mark.parametrize(
    "condition",
    [
        {"op": ["eq"], "name": "event.release", "value": "1"},
        {"op": {}, "name": "event.release", "value": "1"},
        {"op": "eq", "name": "event.release", "value": "1", "options": 5},
        {"op": "eq", "name": "event.release", "value": "1", "options": {"ignoreCase": "yes"}},
    ],
)
def test_what_has_the_wrong_form_never_matches_either(condition: dict[str, Any]) -> None:
    with pytest.raises(ConditionError):
        parse_condition(condition)
    assert not lenient_condition(condition)(Subject(EVENT, None))


def test_nesting_is_bounded() -> None:
    condition: dict[str, Any] = {"op": "and", "inner": []}
    for _ in range(200):
        condition = {"op": "not", "inner": condition}
    with pytest.raises(ConditionError, match="deep"):
        parse_condition(condition)


@pytest.mark.parametrize(
    "condition",
    [
        {},
        {"name": "event.release", "value": "1"},
        {"op": "and", "inner": [{"name": "event.release", "value": "1"}]},
        {"op": "not", "inner": {"name": "event.release", "value": "1"}},
        {"op": "any", "name": "event.exception.values", "inner": {"name": "ty", "value": "E"}},
    ],
)
def test_a_condition_without_op_is_refused_and_never_matches(condition: dict[str, Any]) -> None:
    with pytest.raises(ConditionError, match="missing field `op`"):
        parse_condition(condition)
    assert not lenient_condition(condition)(Subject({"release": "1"}))
