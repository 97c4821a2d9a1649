from __future__ import annotations

from typing import Any

import pytest

from pipeline.quotas.signature import signature
from pipeline.stages.normalize import normalize_event


def error(kind: str = "E", value: str = "v", function: str = "f", *, frames: bool = True, **rest: Any) -> Any:
    stack = {"stacktrace": {"frames": [{"module": "a"}, {"module": "b", "function": function, "lineno": 3}]}} if frames else {}
    return {"exception": {"values": [{"type": kind, "value": value, **stack}]}, **rest}


def test_a_stack_trace_makes_the_message_unimportant() -> None:
    assert signature(error(value="user 1 is gone")) == signature(error(value="order 77 is late"))
    assert signature(error(function="f")) != signature(error(function="g"))
    assert signature(error(kind="E")) != signature(error(kind="F"))
    assert signature(error(fingerprint=["a"])) != signature(error(fingerprint=["b"]))


def test_without_frames_the_message_counts_but_not_its_numbers() -> None:
    assert signature(error(value="user 1 is gone", frames=False)) == signature(error(value="user 222 is gone", frames=False))
    assert signature(error(value="user 1 is gone", frames=False)) != signature(error(value="order 1 is gone", frames=False))
    assert signature({"logentry": {"formatted": "a 0xdeadbeef"}}) == signature({"logentry": {"formatted": "a 0xfeedface"}})
    assert signature({"logentry": {"formatted": "a"}}) != signature({"logentry": {"formatted": "b"}})


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"exception": None, "logentry": 7},
        {"exception": {"values": [None, 5, {"stacktrace": {"frames": [None, {"function": ["x"] * 9}]}}]}},
        {"fingerprint": "x", "exception": {"values": "y"}},
        {"logentry": {"message": "\ud800" * 1_000_000}},
        {"fingerprint": ["z" * 10_000_000]},
    ],
)
def test_hostile_events_have_one_too(event: Any) -> None:
    normalized = normalize_event(event, received=1_795_341_600.0, project_id=1, event_id="1" * 32)
    assert len(signature(normalized)) == 8
