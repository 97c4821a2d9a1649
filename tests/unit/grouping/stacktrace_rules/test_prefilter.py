"""The rules that the prefilter leaves out change nothing: on random stacks, the result is that of trying all rules."""

from __future__ import annotations

import random
from typing import Any

import pytest
from support.grouping import own_bases

from pipeline.grouping.grouping_frame import GroupingFrame, rows_of
from pipeline.grouping.stacktrace_rules import ophio
from pipeline.grouping.stacktrace_rules.exception_matchers import ExceptionMatchers
from pipeline.grouping.stacktrace_rules.parser import parse_stacktrace_rules
from pipeline.grouping.stacktrace_rules.prefilter import Prefilter, RequiredText, required_texts
from pipeline.grouping.stacktrace_rules.rule import FrameMatcher, StackTraceRule
from pipeline.grouping.stacktrace_rules.rule_set import exception_data, match_frame
from pipeline.model.event import ExceptionValue, Frame
from pipeline.model.rule_file import RuleFile

WORDS = [
    "shop",
    "Order",
    "std",
    "core",
    "a",
    "ä",
    "x.y",
    "foo/bar",
    "node_modules",
    "std::io",
    "C:\\App",
    "<unknown>",
    "[k]",
    "{b}",
]
GLOBS = ["*", "**", "?", "/", ".", "::", "[a-s]", "{shop,a}", "\\*"]
FIELDS = {"function": "function", "module": "module", "package": "package", "path": "abs_path"}


def _word(random_: random.Random) -> str:
    return random_.choice(["", "/", "."]).join(random_.choice(WORDS) for _ in range(random_.randint(1, 4)))


def _glob(random_: random.Random) -> str:
    pieces = [random_.choice(GLOBS if random_.random() < 0.5 else WORDS) for _ in range(random_.randint(1, 4))]
    return "".join(pieces).replace('"', "")


def _rule(random_: random.Random) -> str:
    def matcher() -> str:
        negation = "!" if random_.random() < 0.2 else ""
        kind = random_.random()
        if kind < 0.7:
            return f'{negation}{random_.choice(list(FIELDS))}:"{_glob(random_)}"'
        if kind < 0.8:
            return f"{negation}family:{random_.choice(['native', 'javascript', 'other', 'all', 'native,other', 'nonsense'])}"
        if kind < 0.9:
            pattern = random_.choice(["Foo*", "*", "Foo", "x?", "<unk*"])
            return f"{negation}error.{random_.choice(['type', 'value', 'mechanism'])}:{pattern}"
        return f"{negation}app:{random_.choice(['1', 'no'])}"

    matchers = " ".join(matcher() for _ in range(random_.randint(1, 2)))
    caller = f"[ {matcher()} ] | " if random_.random() < 0.2 else ""
    callee = f" | [ {matcher()} ]" if random_.random() < 0.2 else ""
    return f"{caller}{matchers}{callee} {random_.choice(['+app', '-app', '^-app', 'v+app', 'category=x'])}"


def _frames(random_: random.Random, like: list[StackTraceRule]) -> list[ophio.MatchFrame]:
    """Return random frames. Half of their values are made from a pattern of the rules, so that they are likely to match."""
    frames: list[Frame] = []
    for _ in range(random_.randint(1, 4)):
        frame: Any = {
            "platform": random_.choice(["python", "native", "javascript"]),
            "in_app": random_.choice([True, False, None]),
        }
        for key, field in FIELDS.items():
            if random_.random() < 0.7:
                patterns = [matcher.pattern for rule in like for matcher in rule.matchers if matcher.key == key] or [
                    _word(random_)
                ]
                frame[field] = random_.choice([_word(random_), random_.choice(patterns).replace("*", random_.choice(["", "zz"]))])
        frames.append(frame)
    return [match_frame(GroupingFrame._make(row), "python") for row in rows_of(frames)]


@pytest.mark.parametrize("seed", range(150))
def test_leaves_out_only_rules_that_cannot_hold(seed: int) -> None:
    random_ = random.Random(seed)
    rules = parse_stacktrace_rules([RuleFile("e", "\n".join(_rule(random_) for _ in range(12)))])
    prefilter, keys = Prefilter(rules), ExceptionMatchers(rules)
    everything = ophio.join_rules(map(ophio.compile_rule, rules))
    for _ in range(10):
        frames = _frames(random_, rules)
        exceptions: list[ExceptionValue | None] = [
            None,
            {"type": "Foo", "value": "xy"},
            {"type": "Fooo", "mechanism": {"type": "x1"}},
            {"type": ""},
        ]
        owner = exception_data(random_.choice(exceptions))

        selected = prefilter.rules_for(frames, keys.excluded(owner))

        assert ophio.modify(selected, frames, owner) == ophio.modify(everything, frames, owner)


def test_a_stack_is_spared_most_of_the_shipped_rules() -> None:
    file = max(file for name, file in own_bases().items() if name.startswith("enhancements@"))
    rules = parse_stacktrace_rules([file])
    rows = rows_of([{"function": "pay", "module": "shop.cart", "filename": "shop/cart.py"}])
    frames = [match_frame(GroupingFrame._make(row), "python") for row in rows]

    assert len(Prefilter(rules).positions(frames, frozenset())) < len(rules) / 2


@pytest.mark.parametrize(
    ("key", "pattern", "expected"),
    [
        ("path", "**/vendor/lib/**", [RequiredText("path", b"vendor", True), RequiredText("path", b"lib", True)]),
        ("path", "**/X.py", [RequiredText("path", b"x.py", True)]),
        ("path", "**.js", [RequiredText("path", b".js", False)]),
        ("function", "std::*", [RequiredText("function", b"std", True)]),
        ("function", "legacy_*", [RequiredText("function", b"legacy_", False)]),
        ("function", "?[[]Sentry*", []),
        ("module", "a.b.[cd]*", [RequiredText("module", b"a", True), RequiredText("module", b"b", True)]),
        ("module", "*", []),
        ("path", "**/a}/**", [RequiredText("path", b"a", False)]),
        ("path", "**/Ärger/**", []),
        ("family", "native", []),
    ],
)
def test_finds_what_a_pattern_insists_on(key: str, pattern: str, expected: list[RequiredText]) -> None:
    assert required_texts(FrameMatcher(key, pattern)) == expected  # type: ignore[arg-type] # keys of the table
    assert required_texts(FrameMatcher(key, pattern, negated=True)) == []  # type: ignore[arg-type] # likewise


def test_a_brace_that_closes_nothing_rules_no_exception_out() -> None:
    """The library removes such a brace from the pattern."""
    keys = ExceptionMatchers(parse_stacktrace_rules([RuleFile("x.rules", "error.value:a}b +app")]))
    exception: dict[str, bytes | None] = {"ty": None, "value": b"ab", "mechanism": None}
    assert keys.excluded(exception) == frozenset()
    assert keys.excluded(exception | {"value": b"b"}) == {0}
