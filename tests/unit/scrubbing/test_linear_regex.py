"""Patterns of operators: they mean what they mean to `re`, and none of them holds up a worker."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.scrubbing.linear_regex import LinearRegex, Regex
from pipeline.scrubbing.re2_syntax import LinearRegexError

ATOMS = (
    "a", "B", "é", "Ж", "7", "٣", "_", " ", "-", "\\.", "\\n", ".", "\\d", "\\w", "\\s", "\\D", "\\W", "\\S", "[ab]", "[^a]",
    "[à-ü]", "[\\w-]", "[^\\W_]", "[^\\s.]", "[\\W\\d]", "\\b", "(a|é)", "(?:ab)", "(?P<name>B+)", "\\u0416", "\\x41",
)  # fmt: skip
QUANTIFIERS = ("", "", "", "+", "{2}", "{1,3}")


def _spans(regex: Regex | re.Pattern[str], groups: int, text: str) -> list[list[tuple[int, int]]]:
    return [[match.span(group) for group in range(groups + 1)] for match in regex.finditer(text)]


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from(["", "(?i)", "(?s)", "(?m)"]),
    st.lists(st.tuples(st.sampled_from(ATOMS), st.sampled_from(QUANTIFIERS)), min_size=1, max_size=5),
    st.lists(st.text("aAbBéЖж7٣_ -.\n\x02", max_size=10), min_size=1, max_size=10),
)
def test_matches_what_re_matches(flags: str, atoms: list[tuple[str, str]], texts: list[str]) -> None:
    pattern = flags + "".join(atom + ("" if atom == "\\b" else quantifier) for atom, quantifier in atoms)
    try:
        expected = re.compile(pattern)
    except re.error:  # a group's name twice
        return
    regex = LinearRegex(pattern)
    for text in texts:
        found = _spans(expected, expected.groups, text)
        if all(start < end for (start, end), *_ in found):
            assert _spans(regex, expected.groups, text) == found
            assert not found or regex.required_text in text.lower()


@pytest.mark.parametrize(
    ("pattern", "text", "match"),
    [
        (r"\bключ\b", "з ключ: x", (2, 6)),
        (r"\bpin\b", "xépin pin", (6, 9)),
        (r"ticket-(\d+)", "é ticket-٣٤", (2, 11)),
        (r"(?i)straße", "STRAßE", (0, 6)),
        (r"secret$", "secret\n", (0, 7)),  # the line break as well, which `re` would leave
        (r"secret\Z", "a secret", (2, 8)),
        (r"\p{Greek}+", "a αβγ", (2, 5)),
        (r"[[:digit:]]+\z", "a 12", (2, 4)),
        (r"key=(?i:[a-f])", "key=C", (0, 5)),
        (r"x{,2}y{", "xxy{", (0, 4)),
        (r"[]a]+", "]a", (0, 2)),
        (r"\/\_\é", "/_é", (0, 3)),
        (r".", "\ud800", (0, 1)),
    ],
)
def test_knows_letters_of_all_scripts_and_the_syntax_of_relay(pattern: str, text: str, match: tuple[int, int]) -> None:
    found = LinearRegex(pattern).search(text)
    assert found is not None
    assert found.span(0) == match


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        (r"(?<=pin )\d+", "look-behind"),
        (r"\d+(?!x)", "look-ahead"),
        (r"(a)\1", "back-reference"),
        (r"(?P<a>x)(?P=a)", "back-reference"),
        (r"(?>a+)b", "atomic"),
        (r"a++b", "bad repetition"),
        (r"(?x) a", "flag `x`"),
        (r"a{1,100000}", "repetition size"),
        (r"(((a{1,100}){1,100}){1,100}){1,100}", "repetition size"),
        (r"(", "missing"),
        (r"[a", "ends too early"),
        (r"[z-a]", "range"),
        (r"\h", "unknown escape"),
        ("\\", "ends too early"),
    ],
)
def test_what_it_cannot_match_in_linear_time_is_refused(pattern: str, reason: str) -> None:
    with pytest.raises(LinearRegexError, match=reason):
        LinearRegex(pattern)


@pytest.mark.parametrize(
    "pattern", [r"(\d+)+x", r"^(\w+\s?)+$", r"(1|11)+x", r"(\d*)*[xy]", r"\b(?:[\d]+[\d\s]*)+x", r"(.*)*,(.*)*;x"]
)
@pytest.mark.parametrize("text", ["1" * 20_000 + "!", "é" + "1 " * 10_000 + "!"])
def test_patterns_that_explode_elsewhere_end_at_once(pattern: str, text: str) -> None:
    assert LinearRegex(pattern).search(text) is None


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"ticket-(\d+)", "ticket-"),
        (r"(?i)Token=[a-f]+", "token="),
        (r"ab?cd*ef+g", "ef"),
        (r"a|bcd", ""),
        (r"(a|b)cd", "cd"),
        (r"(?:abc)?d", "d"),
        (r"abc{0,2}", "ab"),
        (r"a{2}bcd", "bcd"),
        (r"\bpin\b", "pin"),
        (r"(?i)passwort", "wort"),
        (r"x\.y", "x"),
        ("", ""),
    ],
)
def test_knows_a_text_that_each_match_contains(pattern: str, text: str) -> None:
    assert LinearRegex(pattern).required_text == text
