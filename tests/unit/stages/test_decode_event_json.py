from __future__ import annotations

import json
import re
from typing import Any

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.stages.decode.event_json import MAX_DEPTH, MAX_NAMED, InvalidJsonError, parse_json, repair

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4))


def read(text: bytes) -> tuple[Any, list[dict[str, Any]]]:
    value, is_lenient, mark = parse_json(text)
    return value, repair(value, is_lenient=is_lenient, mark=mark)


def nested(levels: int, *, inner: str = "") -> bytes:
    """Return an object of so many levels."""
    return f'{{"a": {"[" * (levels - 1)}{inner}{"]" * (levels - 1)}}}'.encode()


@given(st.dictionaries(st.text(max_size=3), VALUES, max_size=5))
def test_whatever_python_prints_is_read_and_can_be_stored(event: dict[str, Any]) -> None:
    value, errors = read(json.dumps(event).encode())
    stored = orjson.loads(orjson.dumps(value))
    if not errors:
        assert stored == event
    assert all(error["type"] == "invalid_data" for error in errors)


@given(VALUES, st.integers(0, 99), st.binary(max_size=2))
def test_a_damaged_text_is_json_exactly_where_orjson_says_so(value: Any, at: int, damage: bytes) -> None:
    text = json.dumps(value).encode()
    text = text[:at] + damage + text[at + 1 :]
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as error:
        assume(
            not re.search(rb"NaN|Infinity|\\|\xed", text) and "infinity" not in str(error)
        )  # what we repair, and orjson refuses
        with pytest.raises(InvalidJsonError):
            parse_json(text)
    else:
        parse_json(text)


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        ("1e400", "Infinity"),
        ("-1e400", "-Infinity"),
        ("18446744073709551616", "18446744073709551616"),
        ("-9223372036854775809", "-9223372036854775809"),
        ("9" * 5_000, "Infinity"),
    ],
)
def test_numbers_that_cannot_be_stored_become_null_and_are_named(number: str, shown: str) -> None:
    value, errors = read(f'{{"a": {{"b": [0, {number}]}}, "c": 1.5}}'.encode())
    assert value == {"a": {"b": [0, None]}, "c": 1.5}
    assert errors == [{"type": "invalid_data", "name": "a.b.1", "value": shown}]


@pytest.mark.parametrize("number", [2**64 - 1, -(2**63), 1e308, 5e-324, 0])
def test_numbers_that_can_be_stored_stay_what_they_are(number: float) -> None:
    assert read(b'{"a": %b}' % str(number).encode()) == ({"a": number}, [])


def test_only_so_many_repairs_are_named_but_all_are_made() -> None:
    value, errors = read(b'{"a": [' + b"NaN," * 9_999 + b"1]}")
    assert value == {"a": [None] * 9_999 + [1]}
    assert len(errors) == MAX_NAMED


@pytest.mark.parametrize("inner", ["", "NaN", '"}]}]"', "123456789012345678901"])
def test_nesting_ends_at_the_limit(inner: str) -> None:
    read(nested(MAX_DEPTH, inner=inner))
    with pytest.raises(InvalidJsonError, match="nested"):
        read(nested(MAX_DEPTH + 1, inner=inner))


@pytest.mark.parametrize("levels", [200, 1_000, 5_000, 1_000_000])
def test_no_depth_hurts(levels: int) -> None:
    for text in (nested(levels), nested(levels, inner="NaN"), b"[" * levels, b"[NaN," * levels):
        with pytest.raises(InvalidJsonError):
            read(text)


def test_the_words_say_where_a_text_goes_wrong() -> None:
    with pytest.raises(InvalidJsonError, match="line 2 column 6"):
        parse_json(b'{\n"a": x}')


REPLACED = "a lone surrogate or a broken escape was replaced"


@pytest.mark.parametrize(
    ("sent", "read_as"),
    [
        (rb"x\ud83dy", "x\ufffdy"),
        (rb"\ude00", "\ufffd"),
        (rb"\ude00\ud83d", "\ufffd\ufffd"),
        (rb"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        (b"\xed\xa0\x80z", "\ufffdz"),
        (rb"C:\data", "C:\ufffdata"),
        (rb"\u12G4", "\ufffdG4"),
        (rb"\u", "\ufffd"),
        (rb"a\ue000 \xA", "a\ue000 \ufffdA"),
        (rb"\\ud83d\ud83d", "\\ud83d\ufffd"),
    ],
)
def test_a_lone_surrogate_or_a_broken_escape_costs_a_character(sent: bytes, read_as: str) -> None:
    value, errors = read(b'{"a": ["\\ud83d\\ude00", {"b": "' + sent + b'"}], "c": "d"}')
    assert value == {"a": ["\U0001f600", {"b": read_as}], "c": "d"}
    assert errors == [{"type": "invalid_data", "name": "a.1.b", "reason": REPLACED}]
    orjson.dumps(value)


def test_a_broken_name_is_repaired_as_well() -> None:
    assert read(rb'{"a\ud800": {"\x": 1}}') == ({"a\ufffd": {"\ufffd": 1}}, [])


@pytest.mark.parametrize(
    "text", [b'{"a": "\xff\\x"}', b'{"a": "\\', b'{"a": "\\x" 5}', b'{"a": \\x}', b'{"a": "\n\\x"}', rb'["\ud800"']
)
def test_what_is_broken_besides_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidJsonError):
        parse_json(text)
