"""Rules that the library gets as data do the same as rules that its own parser reads."""

from __future__ import annotations

import itertools

import pytest
from sentry_ophio.enhancers import Cache, Enhancements
from support.grouping import own_bases

from pipeline.grouping.stacktrace_rules import ophio
from pipeline.grouping.stacktrace_rules.parser import parse_stacktrace_rules
from pipeline.model.rule_file import RuleFile

NOBODY: dict[str, bytes | None] = {"ty": None, "value": None, "mechanism": None}
SOMEBODY: dict[str, bytes | None] = {"ty": b"ValueError", "value": b"a value", "mechanism": b"ANR"}

FRAMES = [
    {
        "category": category,
        "family": family,
        "function": function,
        "in_app": in_app,
        "orig_in_app": None,
        "module": module,
        "package": b"/usr/lib/libc.so",
        "path": path,
    }
    for category, family, function, in_app, (module, path) in itertools.product(
        [None, b"system"],
        [b"native", b"javascript", b"other"],
        [b"std::panicking::begin_panic", b"pay", b"<unknown>"],
        [True, False, None],
        [(None, b"/usr/lib/x.py"), (b"java.lang.Thread", None), (b"shop", b"c:/windows/node_modules/a.js")],
    )
]

RULES = [
    *(
        f"{negation}family:{families} {action}"
        for negation in ("", "!")
        for families in ("native", "javascript", "other", "all", "native,other", "javascript,other", "native,javascript", "x")
        for action in ("+app", "-group")
    ),
    *(
        f"{negation}{matcher} -app -group"
        for negation in ("", "!")
        for matcher in (
            "app:1", "app:yes", "app:no", "app:maybe", "category:sys*", "category:*", "error.type:Value*",
            "error.value:a?value",
            "error.mechanism:ANR", "type:<unknown>", "module:java.*", "module:{shop,java.*}", "path:**/node_modules/**",
            "path:C:/windows/**",
            "package:/usr/**", "function:std::*", "function:<unknown>", 'function:"pay"', "function:", "module:[sz]hop",
        )
    ),
    "function:pay ^+app v-app", "function:pay ^-group", "function:pay v+group", "family:all max-frames=3",
    "family:all min-frames=500",
    "function:pay category=mine", "[ function:pay ] | function:std::* -group", "function:pay | [ !function:pay ] -app",
    "[ family:other ] | app:no +app",
]  # fmt: skip


def _results(rules: Enhancements, exception: dict[str, bytes | None]) -> object:
    contributing = [index % 3 != 0 for index in range(len(FRAMES))]
    contributes, _, frames = ophio.assemble(rules, FRAMES, exception, contributing)
    return ophio.modify(rules, FRAMES, exception), contributes, [one for one, _ in frames]


@pytest.mark.parametrize("text", RULES)
def test_a_rule_as_data_does_what_its_text_does(text: str) -> None:
    (rule,) = parse_stacktrace_rules([RuleFile("e", text)])
    by_text = Enhancements.parse(text, Cache(10))

    for exception in (NOBODY, SOMEBODY):
        assert _results(ophio.compile_rule(rule), exception) == _results(by_text, exception)


def test_the_shipped_base_does_what_its_text_does() -> None:
    file = max(file for name, file in own_bases().items() if name.startswith("enhancements@"))
    joined = ophio.join_rules(map(ophio.compile_rule, parse_stacktrace_rules([file])))
    by_text = Enhancements.parse(file.text, Cache(1_000))

    for exception in (NOBODY, SOMEBODY):
        assert _results(joined, exception) == _results(by_text, exception)


BACKSLASHED = [rb"-[X y]", rb"a::{dtor}", rb"a\b", rb"ab", rb"a\[b", rb"a\\b", rb'a"b', rb"c:/x/a.cs", rb"c://x//a.cs", b"a\\"]


@pytest.mark.parametrize(
    "argument",
    [
        r'"-\[X y]"', r'"-\\[X y]"', r'"*::\\{dtor\\}"', r'"*::\{dtor\}"', r"*::\\{dtor\\}", r'"a\\b"', r"a\\b", r'"a\b"', r"a\b",
        r'"a\\\\b"', r"a\\\\b", r'"a\\\[b"', r'"C:\x\*"', r'"C:\\x\\*"', r"C:\x\*", r"C:\\x\\*", r'"a\\\\"',
        r"a\\",
    ],
)  # fmt: skip
@pytest.mark.parametrize("key", ["function", "path"])
def test_backslashes_mean_what_they_mean_to_the_library(key: str, argument: str) -> None:
    text = f"{key}:{argument} +app"
    (rule,) = parse_stacktrace_rules([RuleFile("e", text)])
    frames = [FRAMES[0] | {"function": value, "path": value, "in_app": None} for value in BACKSLASHED]

    expected = ophio.modify(Enhancements.parse(text, Cache(10)), frames, NOBODY)
    assert ophio.modify(ophio.compile_rule(rule), frames, NOBODY) == expected
    (printed,) = parse_stacktrace_rules([RuleFile("e", str(rule))])
    assert printed.matchers == rule.matchers


def test_an_escaped_quote_is_understood() -> None:
    (rule,) = parse_stacktrace_rules([RuleFile("e", 'function:"a \\"b\\"" +app')])
    frame = FRAMES[0] | {"function": b'a "b"', "in_app": None}

    assert ophio.modify(ophio.compile_rule(rule), [frame], NOBODY)[0][1] is True


def test_flags_without_effect_make_no_rule() -> None:
    (rule,) = parse_stacktrace_rules([RuleFile("e", "family:all +sentinel ^-prefix")])

    assert _results(ophio.compile_rule(rule), NOBODY) == _results(Enhancements.empty(), NOBODY)
