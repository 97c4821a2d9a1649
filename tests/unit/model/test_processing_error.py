from __future__ import annotations

from typing import Any

import pytest

from pipeline.model.processing_error import add_errors, invalid_data

NEW = {"type": "invalid_data", "name": "extra.a", "value": "NaN"}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("text", "text"),
        (True, True),
        (-12, -12),
        (1.5, 1.5),
        (None, "null"),
        (float("inf"), "Infinity"),
        (2**70, str(2**70)),
        ([1], "a list"),
        ({}, "an object"),
        (b"a", "bytes"),
    ],
)
def test_short_values_are_kept_and_others_described(value: Any, shown: Any) -> None:
    assert invalid_data("a.b", value) == {"type": "invalid_data", "name": "a.b", "value": shown}


def test_what_is_shown_is_short() -> None:
    assert len(invalid_data("a", "x" * 10_000_000)["value"]) == 200


@pytest.mark.parametrize(
    ("sent", "kept"),
    [(None, []), ([], []), ([{"type": "js_no_source"}], [{"type": "js_no_source"}]), ([None], [None])],
)
def test_errors_are_added_to_the_sender_s(sent: Any, kept: list[Any]) -> None:
    event = {"errors": sent}
    add_errors(event, [NEW])
    assert event["errors"] == [*kept, NEW]


def test_errors_of_another_type_are_an_error_too() -> None:
    event: dict[str, Any] = {"errors": "many"}
    add_errors(event, [NEW])
    assert event["errors"] == [NEW, invalid_data("errors", "many")]


def test_nothing_to_say_changes_nothing() -> None:
    event: dict[str, Any] = {"errors": "many"}
    add_errors(event, [])
    assert event == {"errors": "many"}
