"""The parser of fingerprint rules names the line and column of every mistake, and rules print back to their text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.grouping.fingerprint_rules.parser import KEYS, parse_fingerprint_rules
from pipeline.grouping.fingerprint_rules.rule import EventMatcher, FingerprintRule
from pipeline.grouping.fingerprint_rules.rule_set import FingerprintRules
from pipeline.model.errors import InvalidRulesError
from pipeline.model.rule_file import RuleFile


@pytest.mark.parametrize(
    ("line", "column", "message"),
    [
        ("type", 5, 'expected ":"'),
        ("type:", 6, 'expected a pattern after ":"'),
        ("sort:x -> a", 1, "unknown matcher 'sort', expected one of app"),
        ("tags.:x -> a", 1, "unknown matcher 'tags.'"),
        ("type:x", 7, 'expected "->"'),
        ("type:x ->", 10, "expected a fingerprint"),
        ('type:"x -> a', 6, "expected a closing quote"),
        ("type:x -> {{ a b }}", 11, "expected {{ variable }}"),
        ("-> a", 1, "expected a matcher"),
        ('type:x -> a level="b"', 13, "unknown attribute 'level', the only one is title"),
        ("type:x -> a,,b", 13, "expected a value"),
        ("  ! -> a", 5, "unknown matcher '-'"),
        (r'message:"\ud83d*" -> a', 9, "half of a surrogate pair"),
        (r'type:x -> a title="\ude00"', 19, "half of a surrogate pair"),
        (f"type:{'x' * 5_000} -> a", 6, "at most 1,024 characters, not 5,000"),
        (f"type:{'*a' * 65} -> a", 6, "at most 64 stars, not 65"),
    ],
)
def test_a_mistake_is_named_with_its_place(line: str, column: int, message: str) -> None:
    rules, (error,) = parse_fingerprint_rules(RuleFile("some.rules", f"# first\n\n{line}\ntype:fine -> ok\n"))

    assert (error.file, error.line, error.column) == ("some.rules", 3, column)
    assert message in error.message
    assert error.text == line
    assert len(rules) == 1


def test_all_mistakes_of_all_files_are_reported_at_once() -> None:
    with pytest.raises(InvalidRulesError) as raised:
        FingerprintRules.load([RuleFile("a.rules", "type\ntype:\n"), RuleFile("b.rules", "x:y -> z")], RuleFile("c.rules", "->"))

    places = [f"{error.file}:{error.line}" for error in raised.value.errors]
    assert places == ["a.rules:1", "a.rules:2", "b.rules:1", "c.rules:1"]


words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
matchers = st.builds(EventMatcher, st.sampled_from([*sorted(KEYS), "tags.region"]), words, st.booleans())
rules = st.builds(
    lambda matchers, values, title: FingerprintRule(tuple(matchers), tuple(values), title, "some.rules", 1),
    st.lists(matchers, min_size=1, max_size=3),
    st.lists(words, min_size=1, max_size=3),
    st.none() | words,
)


@given(rules)
def test_a_rule_prints_to_a_line_that_parses_to_it(rule: FingerprintRule) -> None:
    parsed, errors = parse_fingerprint_rules(RuleFile("some.rules", str(rule)))

    assert errors == []
    assert parsed == [rule]


def test_escapes_are_read_and_unknown_ones_kept_for_globs() -> None:
    (rule,), _ = parse_fingerprint_rules(RuleFile("some.rules", r'message:"\x41\u00e9\\[\*" -> "a\"b"'))

    assert rule.matchers[0].pattern == "Aé\\[\\*"
    assert rule.values == ('a"b',)


def test_an_emoji_may_be_written_as_json_writes_it() -> None:
    ((rule,), _) = parse_fingerprint_rules(RuleFile("some.rules", r'message:"\ud83d\ude00*" -> "\u00e4 \ud83d\ude00"'))
    assert (rule.matchers[0].pattern, rule.values) == ("\N{GRINNING FACE}*", ("\xe4 \N{GRINNING FACE}",))


def test_a_title_alone_keeps_the_default_fingerprint() -> None:
    (rule,), errors = parse_fingerprint_rules(RuleFile("some.rules", 'type:x -> title="{{ type }} again"'))

    assert errors == []
    assert (rule.values, rule.title) == ((), "{{ type }} again")
