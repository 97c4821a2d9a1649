"""Equal errors in the words of different JavaScript engines, and others that must stay apart."""

from __future__ import annotations

import pytest
from support.growth import grows_linearly

from pipeline.grouping.strategies.engine_words import MAX_CHARS, TABLES, Equal, Said, in_common_words, type_in_common
from pipeline.grouping.strategies.pattern_literals import literal_in

DATE = "2026-12-01"


@pytest.mark.parametrize("row", TABLES[DATE], ids=lambda row: row.said)
def test_the_forms_of_a_row_become_one(row: Equal) -> None:
    said = {in_common_words(example, DATE) for _, example in row.forms}
    assert len(said) == 1
    assert None not in said


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (
            ("undefined is not an object (evaluating 'a.b.c.x(1)')", "Cannot read property 'x' of undefined"),
            "undefined has no property 'x'",
        ),
        (
            ("null is not an object (evaluating 'a.x = 1')", "Cannot set properties of null (setting 'x')"),
            "null has no property 'x'",
        ),
        (
            ("(intermediate value).foo is not a function", "this.list[0].foo is not a function", "e.foo is not a function"),
            "'foo' is not a function",
        ),
        (
            ("Uncaught TypeError: e.foo is not a function", "Uncaught (in promise) TypeError: t.foo is not a function"),
            "'foo' is not a function",
        ),
        (("Failed to fetch (shop.example)", "Load failed (shop.example)", " Load failed\n"), "the network request failed"),
    ],
)
def test_what_builds_and_engines_vary_does_not_count(texts: tuple[str, ...], said: str) -> None:
    assert {found.value for text in texts if (found := in_common_words(text, DATE))} == {said}
    assert all(in_common_words(text, DATE) for text in texts)


def test_different_errors_stay_apart() -> None:
    texts = [
        *("Cannot read properties of undefined (reading 'a')", "Cannot read properties of undefined (reading 'b')"),
        *("Cannot read properties of null (reading 'a')", "a is not a function", "b is not a function", "a is not defined"),
        *("a is not a constructor", "Unexpected token '<'", "Unexpected token '}'", "Unexpected end of JSON input"),
        "Unexpected token < in JSON at position 0",
    ]
    assert len({in_common_words(text, DATE) for text in texts}) == len(texts)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "user 12 is not defined here",
        "no such cart",
        "a[b] is not a function?",
        "x" * (MAX_CHARS + 1),
        "Failed to fetch cart 12",
    ],
)
def test_other_messages_are_left_alone(text: str) -> None:
    assert in_common_words(text, DATE) is None


def test_a_type_is_shared_only_among_the_types_of_engines() -> None:
    assert type_in_common("InternalError", "too much recursion", DATE) == "RangeError"
    assert type_in_common("CartError", "too much recursion", DATE) == "CartError"
    assert type_in_common("TypeError", "no such cart", DATE) == "TypeError"
    assert in_common_words("too much recursion", DATE) == Said("the call stack is exhausted", "RangeError")


@pytest.mark.parametrize(
    "piece", ["a", "a.", "'", "(", " is not a function", "undefined is not an object (evaluating '", "JSON", "\n", "a[0]."]
)
def test_the_cost_of_a_hostile_text_stays_small(piece: str) -> None:
    assert grows_linearly(lambda size: in_common_words((piece * size)[:size], DATE), MAX_CHARS // 4)


@pytest.mark.parametrize(
    ("pattern", "literal"),
    [
        (r"(?P<name>\w+) is not a function\.?", " is not a function"),
        (r"[\].)'(]abc[^]x]de", "abc"),
        (r"ab?cd*", "a"),
        (r"abc|d", ""),
        (r"(a|b){2,3}x\.y", "x.y"),
        (r"a{2}bc\d+efg", "efg"),
        (r"\bx\(yz\)", "x(yz)"),
    ],
)
def test_the_literal_of_a_pattern_is_in_every_match(pattern: str, literal: str) -> None:
    assert literal_in(pattern) == literal
