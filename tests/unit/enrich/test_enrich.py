from __future__ import annotations

from typing import Any

from pipeline.stages.enrich import enrich_event


def _enriched(**event: Any) -> dict[str, Any]:
    event.setdefault("type", "error")
    enrich_event(event)
    return event


FRAMES = [
    {"function": "main", "filename": "run.py"},
    {"function": "pay", "filename": "shop/pay.py", "module": "shop.pay", "in_app": True},
]


def test_an_error_is_named_after_its_last_exception() -> None:
    event = _enriched(
        exception={
            "values": [{"type": "A", "value": "cause"}, {"type": "B", "value": "two\nlines", "stacktrace": {"frames": FRAMES}}]
        }
    )
    assert event["title"] == "B: two"
    assert event["culprit"] == "shop.pay in pay"
    assert event["location"] == "shop/pay.py"
    assert event["metadata"] == {"type": "B", "value": "two\nlines", "filename": "shop/pay.py", "function": "pay"}


def test_native_names_lose_their_arguments() -> None:
    frames = [{"function": "shop::pay(int, char const*)", "in_app": True}]
    event = _enriched(platform="native", exception={"values": [{"type": "SIGSEGV", "stacktrace": {"frames": frames}}]})
    assert event["metadata"]["function"] == "shop::pay"


def test_the_sender_may_name_the_culprit() -> None:
    assert _enriched(culprit="own", transaction="/t")["culprit"] == "own"
    assert _enriched(transaction="/t")["culprit"] == "/t"


def test_a_message_is_its_own_title() -> None:
    event = _enriched(type="default", logentry={"formatted": "  first line\nsecond"})
    assert event["title"] == "first line"
    assert "location" not in event


def test_nothing_has_a_title_as_well() -> None:
    assert _enriched(type="default")["title"] == "<unlabeled event>"
    assert _enriched(exception={"values": [None]})["title"]
