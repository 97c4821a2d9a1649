"""Patterns of rules: which are refused, and which can match nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sentry_ophio.glob import is_glob_match

from pipeline.globs.check import never_matches, seems_meant_as_text, too_costly

patterns = st.text(alphabet="ab[]{}!^,*?\\/", max_size=8)
values = st.text(alphabet="ab[]{}!^,*?\\/", max_size=6)


@settings(max_examples=500, deadline=None)
@given(patterns, st.lists(values, max_size=20))
def test_what_never_matches_never_does(pattern: str, values: list[str]) -> None:
    if never_matches(pattern) is not None:
        assert not any(is_glob_match(value, pattern, allow_newline=True) for value in (*values, pattern))
    if never_matches(pattern, is_path=True) is not None:
        assert not any(is_glob_match(value, pattern, True, True, True, True) for value in (*values, pattern))


@pytest.mark.parametrize(
    "pattern",
    [
        "*[Errno 111]*",
        "[ERROR] *",
        "*[native code]",
        "[object Object]",
        "[slug]",
        "code [e-1]",
        "{*[info],x}",
        "app/[id]/page",
        "[id]/page",
        "**/[id].js",
        "{org slug}/*",
        "a{}",
    ],
)
def test_what_reads_as_text_is_said(pattern: str) -> None:
    assert never_matches(pattern) is None
    assert seems_meant_as_text(pattern) is not None


@pytest.mark.parametrize(
    "pattern",
    [
        "status [45]0[0-9]",
        "[!a-z]*",
        "[!slug]",
        "[A-Za-z0-9_-]",
        "[a-f0-9]*",
        "[abc]",
        "[aeiou]",
        "[Ee]rror",
        "*.[cm][jt]s",
        "[ _-]",
        "[a-z ]",
        "\\[Errno 111\\]",
        "\\{slug\\}",
        "{one,two} left",
        "{one,}",
        "**/{vendor,third_party}/**",
        "[id",
        "src/[ab]c/x",
    ],
)
def test_sets_and_alternatives_that_are_meant_as_such_are_not_accused(pattern: str) -> None:
    assert seems_meant_as_text(pattern) is None


def test_a_path_is_named_as_it_was_written() -> None:
    said = seems_meant_as_text("**/[Slug]/**", is_path=True)
    assert said is not None
    assert "`[Slug]`" in said


@pytest.mark.parametrize(
    ("pattern", "value"),
    [
        ("plain", "plain"),
        ("[ab]", "b"),
        ("[]]", "]"),
        ("[!]]", "a"),
        ("{a,b}", "b"),
        ("\\[a", "[a"),
        ("a]", "a]"),
        ("\\{", "{"),
    ],
)
def test_what_may_match_is_not_accused(pattern: str, value: str) -> None:
    assert never_matches(pattern) is None
    assert is_glob_match(value, pattern)


@pytest.mark.parametrize("pattern", ["-[NSObject*", "[", "[]", "[!]", "a{b", "{a,{b,c}}", "a\\"])
def test_what_is_no_glob_is_named(pattern: str) -> None:
    assert never_matches(pattern) is not None


def test_a_backslash_in_a_path_is_a_slash() -> None:
    assert never_matches("c:\\windows\\", is_path=True) is None


def test_costly_patterns_are_refused() -> None:
    assert too_costly("*" * 64) is None
    for pattern in ("*a" * 65, "x" * 1_025):
        assert too_costly(pattern) is not None
