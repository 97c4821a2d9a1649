from __future__ import annotations

from typing import Any

from pipeline.model.title import name_event


def _named(**event: Any) -> Any:
    event.setdefault("type", "error")
    normalized: Any = event
    name_event(normalized)
    return normalized


FRAMES = [
    {"function": "main", "filename": "run.py"},
    {"function": "pay", "filename": "shop/pay.py", "module": "shop.pay", "in_app": True},
]


def test_an_error_is_named_after_its_last_exception() -> None:
    event: Any = _named(
        exception={
            "values": [{"type": "A", "value": "cause"}, {"type": "B", "value": "two\nlines", "stacktrace": {"frames": FRAMES}}]
        }
    )
    assert event["title"] == "B: two"
    assert event["culprit"] == "shop.pay in pay"
    assert event["location"] == "shop/pay.py"
    assert event["metadata"] == {"type": "B", "value": "two\nlines", "filename": "shop/pay.py", "function": "pay"}


def test_a_fingerprint_rule_may_name_the_event() -> None:
    event: Any = {"type": "error", "exception": {"values": [{"type": "A", "value": "x"}]}}
    name_event(event, "Payments are down")
    assert event["title"] == "Payments are down"
    assert event["metadata"]["type"] == "A"


def test_the_sender_may_name_the_culprit() -> None:
    assert _named(culprit="own", transaction="/t")["culprit"] == "own"
    assert _named(transaction="/t")["culprit"] == "/t"


def test_a_message_is_its_own_title() -> None:
    event: Any = _named(type="default", logentry={"formatted": "  first line\nsecond"})
    assert event["title"] == "first line"
    assert "location" not in event


def test_nothing_has_a_title_as_well() -> None:
    assert _named(type="default")["title"] == "<unlabeled event>"
    assert _named(exception={"values": [None]})["title"]
