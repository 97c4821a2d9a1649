from __future__ import annotations

import pytest

from pipeline.grouping.stacktrace_rules.parser import MAX_LINE_CHARS, parse_stacktrace_rules
from pipeline.grouping.stacktrace_rules.rule import FlagAction, FrameMatcher, SettingAction, StackTraceRule
from pipeline.model.errors import InvalidRulesError, RuleError
from pipeline.model.rule_file import RuleFile


def _parse(text: str) -> list[StackTraceRule]:
    return parse_stacktrace_rules([RuleFile("rules/e.rules", text)])


def _errors(text: str) -> list[RuleError]:
    with pytest.raises(InvalidRulesError) as raised:
        _parse(text)
    return raised.value.errors


def test_reads_every_part_of_a_rule() -> None:
    text = '[ !function:a ] | stack.module:"b c" !error.type:D | [ path:**/e.py ] ^-group v+app max-frames=3 category=ui # why'
    (rule,) = _parse(f"# heading\n\n  {text}\r\n")

    assert rule == StackTraceRule(
        matchers=(FrameMatcher("module", "b c"), FrameMatcher("type", "D", negated=True)),
        actions=(
            FlagAction("group", value=False, reach="^"),
            FlagAction("app", value=True, reach="v"),
            SettingAction("max-frames", 3),
            SettingAction("category", "ui"),
        ),
        caller=FrameMatcher("function", "a", negated=True),
        callee=FrameMatcher("path", "**/e.py"),
        file="rules/e.rules",
        line=3,
    )
    assert rule.origin == "rules/e.rules:3"


@pytest.mark.parametrize(
    "text",
    [
        "function:foo -app",
        "!family:native,other module:a.* ^-group -group ^-app -app",
        "[ function:a ] | function:b | [ function:c ] +app",
        'function:"a \\"quoted\\" name" -group',
        'function:"" -group',
        "error.mechanism:ANR invert-stacktrace=1",
        "family:native min-frames=2 max-frames=0",
        "function:foo#bar +sentinel v-prefix",
        "path:C:\\src\\* -app",
        "function:{a,b}[c-d]? +group",
        "module:a\u00a0b +app",
        'function:"-\\[X y]" -app',
        "path:C:\\\\\\\\server\\\\* -app",
        'function:"ends with \\\\" -app',
        "function:ends\\\\ -app",
        'function:"a \\\\\\"b" -app',
    ],
)
def test_prints_back_to_what_it_read(text: str) -> None:
    (rule,) = _parse(text)

    assert str(rule) == text
    assert _parse(str(rule))[0] == rule


def test_actions_may_touch_each_other() -> None:
    assert _parse("function:a +app-group# x")[0].actions == (FlagAction("app", value=True), FlagAction("group", value=False))


@pytest.mark.parametrize(
    ("line", "column", "expected"),
    [
        ("function:foo", 13, "expected an action"),
        ("+app", 1, "expected a matcher"),
        ("release:1 +app", 1, "unknown matcher `release`"),
        ("function:a !tags.x:1 +app", 12, "unknown matcher `tags.x`"),
        ("function:a ^max-frames=1", 12, "expected an action"),
        ("function:a +foo", 13, "unknown flag `foo`"),
        ("function:a + app", 12, "expected an action"),
        ("function:a depth=3", 12, "unknown setting `depth`"),
        ("function:a max-frames=many", 23, "expected a number"),
        ("function:a max-frames=99999999999999999999", 23, "expected a number"),
        ("function:a invert-stacktrace=maybe", 30, "expected 1, yes, true"),
        ('function:"a +app', 10, 'expected a closing `"`'),
        ("[ function:a | function:b +app", 14, "expected `]`"),
        ("[ function:a ] function:b +app", 16, "expected `|`"),
        ("[ category:a ] | [ category:b ] | category:c +app", 18, "expected a matcher"),
        (" category:a | category:b +app", 15, "expected `[`"),
        ("[ function:a function:b ] | function:c +app", 14, "expected `]`"),
        ("[ ] | function:c +app", 3, "expected a matcher"),
        ("function:a +app garbage", 17, "expected an action"),
        ('error.value:"[Errno*" -group', 13, "unclosed character class"),
        ("error.type:[z-a] -group", 12, "invalid range"),
        ('[ error.mechanism:"{a" ] | function:y -app', 19, "unclosed alternate group"),
        ("function:" + "a" * MAX_LINE_CHARS + " +app", MAX_LINE_CHARS + 1, "at most"),
    ],
)
def test_names_the_place_and_what_was_expected(line: str, column: int, expected: str) -> None:
    (error,) = _errors(f"function:fine -app\n{line}\nmodule:fine +app")

    assert (error.file, error.line, error.column) == ("rules/e.rules", 2, column)
    assert expected in error.message
    assert line.startswith(error.text)


def test_names_every_broken_line_of_every_file() -> None:
    files = [RuleFile("base", "x\nfunction:a -app\ny"), RuleFile("own", "\n\nz:1 +app")]

    with pytest.raises(InvalidRulesError) as raised:
        parse_stacktrace_rules(files)

    assert [(error.file, error.line) for error in raised.value.errors] == [("base", 1), ("base", 3), ("own", 3)]


@pytest.mark.parametrize("pattern", ["*a" * 65, "x" * 1_025])
def test_a_costly_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidRulesError) as raised:
        parse_stacktrace_rules([RuleFile("some.rules", f"function:f error.value:{pattern} -app")])
    (error,) = raised.value.errors
    assert (error.line, error.column) == (1, 24)


def test_or_makes_a_rule_of_each_alternative() -> None:
    rules = _parse("[ family:native ] | module:a function:b or function:c -group +app")

    assert [str(rule) for rule in rules] == [
        "[ family:native ] | module:a function:b -group +app",
        "[ family:native ] | function:c -group +app",
    ]


@pytest.mark.parametrize("line", ["or function:a -group", "function:a or -group", "function:a or or function:b -group"])
def test_or_stands_between_matchers(line: str) -> None:
    assert len(_errors(line)) == 1
