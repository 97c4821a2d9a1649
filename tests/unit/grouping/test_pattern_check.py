"""Patterns of both kinds of rules: what is refused, and what is said to match nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sentry_ophio.glob import is_glob_match

from pipeline.grouping.pattern_check import never_matches, too_costly
from pipeline.grouping.stacktrace_rules.parser import parse_stacktrace_rules
from pipeline.model.errors import InvalidRulesError
from pipeline.model.rule_file import RuleFile

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


def test_costly_patterns_are_refused_in_both_kinds_of_rules() -> None:
    assert too_costly("*" * 64) is None
    for pattern in ("*a" * 65, "x" * 1_025):
        assert too_costly(pattern) is not None
        with pytest.raises(InvalidRulesError) as raised:
            parse_stacktrace_rules([RuleFile("some.rules", f"function:f error.value:{pattern} -app")])
        (error,) = raised.value.errors
        assert (error.line, error.column) == (1, 24)
