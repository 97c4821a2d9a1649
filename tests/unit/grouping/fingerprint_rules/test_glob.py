"""Globs: what spares most values the engine never changes what the engine would have said."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sentry_ophio.glob import is_glob_match

from pipeline.grouping.fingerprint_rules.glob import Glob

PIECES = ["a", "b", "A", "/", "*", "**", "?", "[", "]", "[ab]", "[!a]", "[]a]", "{", "}", ",", "{a,b}", "{a,{b,A}}", "\\", "."]
patterns = st.lists(st.sampled_from(PIECES), max_size=7).map("".join)
values = st.text(alphabet="abA/\\[]{},.é", max_size=7)


@settings(max_examples=1_000, deadline=None)
@given(patterns, values)
def test_says_what_the_engine_says(pattern: str, value: str) -> None:
    glob = Glob(pattern)
    assert glob.accepts(glob.fold(value)) == is_glob_match(value, pattern, allow_newline=True)

    glob = Glob(pattern, ignore_case=True)
    assert glob.accepts(glob.fold(value)) == is_glob_match(value, pattern, False, True, False, True)

    glob = Glob(pattern, is_path=True)
    slashed = f"/{value}" if not value.replace("\\", "/").startswith("/") else value
    expected = any(is_glob_match(path, pattern, True, True, True, True) for path in (value, slashed))
    assert glob.accepts(glob.fold(value)) == expected


@pytest.mark.parametrize(
    ("pattern", "chunk", "is_literal"),
    [
        ("plain", "plain", True),
        ("*tail", "tail", False),
        ("{abc,de}f", "f", False),
        ("[]abc]d", "d", False),
        (r"\*x", "x", False),
    ],
)
def test_knows_what_a_pattern_insists_on(pattern: str, chunk: str, is_literal: bool) -> None:
    glob = Glob(pattern)
    assert (glob.chunk, glob.is_literal) == (chunk, is_literal)


def test_a_lone_surrogate_is_no_reason_to_raise() -> None:
    glob = Glob("*x*")
    assert glob.accepts(glob.fold("\ud800x"))
