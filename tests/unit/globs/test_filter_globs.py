"""Globs of filters."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.growth import grows_linearly

from pipeline.globs.glob import GlobSet, compile_glob
from pipeline.globs.parser import FILTER, FILTER_EXACT, GlobError


@given(st.text("ab*?", max_size=8), st.text("abc", max_size=10))
def test_stars_and_question_marks_match_as_everywhere(pattern: str, text: str) -> None:
    assert compile_glob(pattern, FILTER_EXACT).matches(text) == (bool(pattern) and fnmatchcase(text, pattern))


@given(
    st.lists(st.lists(st.text("ab*", max_size=3), min_size=1, max_size=3).filter(any), min_size=1, max_size=3),
    st.text("ab", max_size=8),
)
def test_braces_are_all_their_alternatives(groups: list[list[str]], text: str) -> None:
    pattern = "".join("{" + ",".join(group) + "}" for group in groups)
    expected = "".join("(?:" + "|".join(part.replace("*", ".*") for part in group) + ")" for group in groups)
    assert compile_glob(pattern, FILTER_EXACT).matches(text) == (re.fullmatch(expected, text) is not None)


def test_many_stars_cost_what_the_text_s_length_costs() -> None:
    glob = compile_glob("*a?" * 30 + "*[b]*c", FILTER)
    assert not glob.matches("a" * 8_192)
    assert grows_linearly(lambda characters: glob.matches("a" * characters), 8_192)


def test_braces_that_multiply_are_refused() -> None:
    with pytest.raises(GlobError, match="alternatives"):
        compile_glob("{a,b}" * 12, FILTER)


def test_a_set_leaves_out_what_does_not_parse() -> None:
    globs = GlobSet(["[bad", "ok*", ""])
    assert globs.matches("OK then")
    assert not globs.matches("")
    assert [pattern for pattern, _ in globs.errors] == ["[bad"]


def test_a_brace_that_is_never_closed_does_not_match_nothing() -> None:
    assert not GlobSet(["{"]).matches("")
    assert not GlobSet(["{a"]).matches("")
