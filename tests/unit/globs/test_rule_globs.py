"""Globs of rules: the text that spares most values the engine never changes what the engine would have answered."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sentry_ophio.glob import is_glob_match

from pipeline.globs.glob import lenient_glob
from pipeline.globs.parser import RULE, RULE_IGNORING_CASE, RULE_PATH

PIECES = ["a", "b", "A", "/", "*", "**", "?", "[", "]", "[ab]", "[!a]", "[]a]", "{", "}", ",", "{a,b}", "{a,{b,A}}", "\\", "."]
patterns = st.lists(st.sampled_from(PIECES), max_size=7).map("".join)
values = st.text(alphabet="abA/\\[]{},.é", max_size=7)


@settings(max_examples=1_000, deadline=None)
@given(patterns, values)
def test_answers_as_the_engine_does(pattern: str, value: str) -> None:
    glob = lenient_glob(pattern, RULE)
    assert glob.accepts(glob.fold(value)) == is_glob_match(value, pattern, allow_newline=True)

    glob = lenient_glob(pattern, RULE_IGNORING_CASE)
    assert glob.accepts(glob.fold(value)) == is_glob_match(value, pattern, False, True, False, True)

    glob = lenient_glob(pattern, RULE_PATH)
    slashed = f"/{value}" if not value.replace("\\", "/").startswith("/") else value
    expected = any(is_glob_match(path, pattern, True, True, True, True) for path in (value, slashed))
    assert glob.accepts(glob.fold(value)) == expected


@pytest.mark.parametrize(
    ("pattern", "required_text", "is_literal"),
    [
        ("plain", "plain", True),
        ("*tail", "tail", False),
        ("{abc,de}f", "f", False),
        ("[]abc]d", "d", False),
        (r"\*x", "*x", True),
    ],
)
def test_knows_the_text_that_each_matching_value_contains(pattern: str, required_text: str, is_literal: bool) -> None:
    glob = lenient_glob(pattern, RULE)
    assert (glob.required_text, glob.is_literal) == (required_text, is_literal)


def test_a_lone_surrogate_is_no_reason_to_raise() -> None:
    glob = lenient_glob("*x*", RULE)
    assert glob.accepts(glob.fold("\ud800x"))
