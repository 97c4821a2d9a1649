from __future__ import annotations

from typing import Any

import pytest

from pipeline.stages.normalize import normalize_event

RECEIVED = 1_772_366_400.0
EVENT_ID = "0123456789abcdef0123456789abcdef"


def _normalized(**event: Any) -> Any:
    return normalize_event(event, received=RECEIVED, project_id=7, event_id=EVENT_ID, client_ip="192.0.2.1")


def _named(event: Any) -> list[tuple[str, str]]:
    return [(error["name"], error["type"]) for error in event.get("errors", [])]


def test_an_empty_event_gets_all_that_later_stages_rely_on() -> None:
    assert _normalized() == {
        "event_id": EVENT_ID,
        "project": 7,
        "version": "7",
        "received": RECEIVED,
        "timestamp": RECEIVED,
        "platform": "other",
        "level": "error",
        "logger": "",
        "type": "default",
        "contexts": {"trace": {"trace_id": EVENT_ID, "span_id": EVENT_ID[:16], "status": "unknown", "type": "trace"}},
    }


@pytest.mark.parametrize("event_id", ["xyz", 12, None, "0" * 32, ["a"], "g" * 32])
def test_an_event_id_that_is_none_is_replaced(event_id: Any) -> None:
    assert _normalized(event_id=event_id)["event_id"] == EVENT_ID


@pytest.mark.parametrize(
    ("timestamp", "expected", "named"),
    [
        ("2026-03-01T13:30:00.250+02:00", RECEIVED - 1799.75, []),
        ("2026-03-01T11:59:00.5", RECEIVED - 59.5, []),
        ("0001-01-01T00:00:00Z", RECEIVED, [("timestamp", "past_timestamp")]),
        ("9999-12-31T23:59:59Z", RECEIVED, [("timestamp", "future_timestamp")]),
        (1_772_366_390_123, RECEIVED, [("timestamp", "invalid_data")]),
        (float("nan"), RECEIVED, [("timestamp", "invalid_data")]),
        (10**400, RECEIVED, [("timestamp", "invalid_data")]),
        (-(10**300), RECEIVED, [("timestamp", "invalid_data")]),
        (True, RECEIVED, [("timestamp", "invalid_data")]),
        ("yesterday", RECEIVED, [("timestamp", "invalid_data")]),
    ],
)
def test_timestamps(timestamp: Any, expected: float, named: list[tuple[str, str]]) -> None:
    event = _normalized(timestamp=timestamp)
    assert event["timestamp"] == expected
    assert _named(event) == named


def test_a_wrong_clock_moves_the_breadcrumbs_along() -> None:
    event = _normalized(timestamp=RECEIVED + 7200, breadcrumbs=[{"timestamp": RECEIVED + 7100, "message": "m"}])
    assert event["breadcrumbs"]["values"][0]["timestamp"] == RECEIVED - 100


def test_grouping_gets_its_shapes() -> None:
    event = _normalized(
        exception={"value": "TypeError: x is not a function"},
        stacktrace={"frames": [{"abs_path": "https://shop.example/static/app.js?v=2", "function": "?"}, {"filename": "lib.js"}]},
        fingerprint=["{{ default }}", 1, True, 2.0, None],
        platform="cobol",
    )
    (exception,) = event["exception"]["values"]
    assert (exception["type"], exception["value"]) == ("TypeError", "x is not a function")
    assert exception["stacktrace"]["frames"] == [
        {"abs_path": "https://shop.example/static/app.js?v=2", "filename": "/static/app.js"},
        {"abs_path": "lib.js", "filename": "lib.js"},
    ]
    assert event["fingerprint"] == ["{{ default }}", "1", "True", "2"]
    assert (event["platform"], event["type"]) == ("other", "error")


def test_a_message_is_filled_in() -> None:
    assert _normalized(logentry={"message": "%s of %(x)d", "params": ["a"]})["logentry"]["formatted"] == "%s of %(x)d"
    entry = _normalized(logentry={"message": "{} of {}", "params": ["a", 2]})["logentry"]
    assert entry == {"formatted": "a of 2", "message": "{} of {}", "params": ["a", 2]}
    assert _normalized(message=["a", 1])["logentry"] == {"formatted": '["a",1]'}


def test_tags_are_few_and_searchable() -> None:
    event = _normalized(tags={f"k{number:03}": number for number in range(300)} | {"environment": "stage"})
    assert len(event["tags"]) == 200
    assert event["environment"] == "stage"
    assert event["_meta"]["tags"][""]["len"] == 300


def test_wrong_types_are_named_and_their_originals_kept_while_small() -> None:
    event = _normalized(user="bob", release={"a": "x" * 1_000}, nobody=1)
    assert event["errors"] == [
        {"type": "invalid_data", "name": "user", "reason": "expected user", "value": "bob"},
        {"type": "invalid_data", "name": "release", "reason": "expected a primitive value"},
        {"type": "invalid_attribute", "name": "nobody"},
    ]
    assert event["_meta"]["user"][""] == {"err": [["invalid_data", {"reason": "expected user"}]], "val": "bob"}


def test_an_unknown_address_leaves_no_placeholder() -> None:
    sent = {"user": {"ip_address": "{{auto}}"}, "platform": "python"}
    assert "user" not in normalize_event(sent, received=RECEIVED, project_id=7, event_id=EVENT_ID)
    assert _normalized(**sent)["user"] == {"ip_address": "192.0.2.1", "sentry_user": "ip:192.0.2.1"}


def test_errors_are_counted_out_at_some_point() -> None:
    event = _normalized(**{f"key{number}": number for number in range(5_000)}, errors=[{"type": "x"}] * 5_000)
    assert len(event["errors"]) == 400


@pytest.mark.parametrize(
    ("sent", "expected", "removed"),
    [
        ("com.example.checkout." + "b" * 31 + ".payments.PaymentService", "*." + "b" * 31 + ".payments.PaymentService", 20),
        ("a" * 6 + "." + "b" * 41 + "." + "C" * 22, "*." + "C" * 22, 48),
        ("ab." + "b" * 40 + "." + "C" * 22, "*" + "b" * 40 + "." + "C" * 22, 3),
        ("a" * 40 + "C" * 40, "*" + "a" * 23 + "C" * 40, 17),
    ],
)
def test_the_name_of_a_java_logger_loses_its_beginning(sent: str, expected: str, removed: int) -> None:
    event = _normalized(platform="java", logger=sent)
    assert event["logger"] == expected
    assert len(event["logger"]) <= 64
    assert event["_meta"][""] == {"rem": [["@logger:replace", "s", 0, removed]], "len": len(sent)}


def test_blanks_around_the_name_of_a_java_logger_go() -> None:
    assert _normalized(platform="java", logger=" a.B ")["logger"] == "a.B"
    assert "_meta" not in _normalized(platform="java", logger="a.B")


def test_other_loggers_lose_their_end() -> None:
    event = _normalized(platform="python", logger="a" * 60 + ".bcdefgh")
    assert event["logger"] == "a" * 60 + ".bcdefgh"[:1] + "..."
    assert event["_meta"]["logger"][""]["len"] == 68
