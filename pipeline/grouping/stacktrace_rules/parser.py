"""Parser of `enhancements.rules`. It reports the mistake of every line with its column and what was expected.

See docs/spec/stack-trace-rules.md, "Syntax".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from pipeline.globs.check import too_costly
from pipeline.grouping.stacktrace_rules.ophio import refusal
from pipeline.grouping.stacktrace_rules.rule import (
    EXCEPTION_KEYS,
    FLAGS,
    MATCHER_KEYS,
    Action,
    FlagAction,
    FrameMatcher,
    SettingAction,
    StackTraceRule,
)
from pipeline.model.errors import InvalidRulesError, RuleError
from pipeline.model.rule_file import RuleFile

MAX_LINE_CHARS = 8_192
"""A longer line is refused. A pattern of megabytes would cost as much for every frame."""

MAX_FRAMES = 2**32 - 1

MAX_REMEMBERED_FILES = 256
"""The parsed files that are cached. All projects start from the same two files, and a reload mostly changes one file."""

_BLANKS = re.compile(r"[ \t]*")
_KEY = re.compile(r'(?:"([a-zA-Z0-9_.-]+)"|([a-zA-Z0-9_.-]+)):')
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_UNQUOTED = re.compile(r"\S*", re.ASCII)
_ESCAPED_IN_QUOTES = re.compile(r'\\([\\"])')
_FLAG = re.compile(r"([\^v]?)([+-])([a-zA-Z_-]+?)(?=[\s#+^-]|v[+-]|$)")
_SETTING = re.compile(r"([a-z-]+)\s*=\s*([a-zA-Z0-9_.-]+)")
_OR = re.compile(r"or(?=[ \t])")
_MATCHER_AHEAD = re.compile(r'!?(?:"[a-zA-Z0-9_.-]+"|[a-zA-Z0-9_.-]+):')
_BOOLEANS = {"1": True, "yes": True, "true": True, "0": False, "no": False, "false": False}


class _SyntaxError(Exception):
    def __init__(self, position: int, message: str) -> None:
        self.position = position
        super().__init__(message)


def parse_stacktrace_rules(files: Sequence[RuleFile]) -> list[StackTraceRule]:
    """Return the rules of files, in order. Raises InvalidRulesError with the mistakes of all files."""
    parsed = [_parse_file(file) for file in files]
    errors = [error for _, wrong in parsed for error in wrong]
    if errors:
        raise InvalidRulesError(errors)
    return [rule for rules, _ in parsed for rule in rules]


@lru_cache(MAX_REMEMBERED_FILES)
def _parse_file(file: RuleFile) -> tuple[tuple[StackTraceRule, ...], tuple[RuleError, ...]]:
    rules: list[StackTraceRule] = []
    errors: list[RuleError] = []
    for number, text in enumerate(file.text.split("\n"), start=1):
        line = text.rstrip("\r")
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            rules += _Line(line, file.path, number).rules()
        except _SyntaxError as error:
            errors.append(RuleError(file.path, number, error.position + 1, str(error), line[:MAX_LINE_CHARS]))
    return tuple(rules), tuple(errors)


class _Line:
    """Reads one line from left to right. `position` counts the characters that are read."""

    def __init__(self, text: str, file: str, number: int) -> None:
        if len(text) > MAX_LINE_CHARS:
            raise _SyntaxError(MAX_LINE_CHARS, f"a rule has at most {MAX_LINE_CHARS} characters")
        self.text = text
        self.position = 0
        self.file = file
        self.number = number

    def rules(self) -> list[StackTraceRule]:
        """Return the rules of the line: one for each of the alternatives that `or` separates."""
        self._skip_blanks()
        caller = None
        if self._take("["):
            caller = self._bracketed()
            self._expect("|", "`|` after the caller's matcher")
            self._skip_blanks()
        alternatives: list[list[FrameMatcher]] = [[]]
        while True:
            if _MATCHER_AHEAD.match(self.text, self.position):
                alternatives[-1].append(self._matcher())
            elif alternatives[-1] and _OR.match(self.text, self.position):
                self.position += len("or")
                alternatives.append([])
            else:
                break
            self._skip_blanks()
        if not alternatives[-1]:
            raise _SyntaxError(self.position, "expected a matcher such as `function:name`")
        callee = None
        if self._take("|"):
            self._skip_blanks()
            self._expect("[", "`[` before the callee's matcher")
            callee = self._bracketed()
        actions = tuple(self._actions())
        return [StackTraceRule(tuple(matchers), actions, caller, callee, self.file, self.number) for matchers in alternatives]

    def _bracketed(self) -> FrameMatcher:
        self._skip_blanks()
        if not _MATCHER_AHEAD.match(self.text, self.position):
            raise _SyntaxError(self.position, "expected a matcher such as `function:name` inside the brackets")
        matcher = self._matcher()
        self._skip_blanks()
        self._expect("]", "`]` after one matcher (a blank before it)")
        self._skip_blanks()
        return matcher

    def _matcher(self) -> FrameMatcher:
        start = self.position
        negated = self._take("!")
        name = _KEY.match(self.text, self.position)
        if name is None:
            raise _SyntaxError(self.position, "expected a matcher's name and `:`")
        key = MATCHER_KEYS.get(name[1] or name[2])
        if key is None:
            known = ", ".join(sorted(set(MATCHER_KEYS.values())))
            raise _SyntaxError(start, f"unknown matcher `{name[1] or name[2]}`, expected one of {known}")
        self.position = name.end()
        if self.text[self.position : self.position + 1] == '"':
            quoted = _QUOTED.match(self.text, self.position)
            if quoted is None:
                raise _SyntaxError(self.position, 'expected a closing `"`')
            pattern, end = _ESCAPED_IN_QUOTES.sub(r"\1", quoted[1]), quoted.end()
        else:
            unquoted = _UNQUOTED.match(self.text, self.position)
            assert unquoted is not None  # noqa: S101 -- it also matches the empty text
            pattern, end = unquoted[0].replace("\\\\", "\\"), unquoted.end()
        matcher = FrameMatcher(key, pattern, negated)
        reason = too_costly(pattern) or (refusal(matcher) if key in EXCEPTION_KEYS else None)
        if reason is not None:
            raise _SyntaxError(self.position, reason)
        self.position = end
        return matcher

    def _actions(self) -> list[Action]:
        actions: list[Action] = []
        while True:
            self._skip_blanks()
            if self.position == len(self.text) or self.text[self.position] == "#":
                break
            actions.append(self._action())
        if not actions:
            raise _SyntaxError(self.position, "expected an action such as `-group`, `+app` or `max-frames=3`")
        return actions

    def _action(self) -> Action:
        start = self.position
        flag = _FLAG.match(self.text, start)
        if flag is not None:
            if flag[3] not in FLAGS:
                raise _SyntaxError(flag.start(3), f"unknown flag `{flag[3]}`, expected one of {', '.join(sorted(FLAGS))}")
            self.position = flag.end()
            return FlagAction(flag[3], flag[2] == "+", flag[1])  # type: ignore[arg-type] # the pattern allows no other reach
        setting = _SETTING.match(self.text, start)
        if setting is None:
            raise _SyntaxError(start, "expected an action such as `-group`, `+app` or `max-frames=3`")
        self.position = setting.end()
        return _setting(setting)

    def _skip_blanks(self) -> None:
        blanks = _BLANKS.match(self.text, self.position)
        self.position = blanks.end() if blanks else self.position

    def _take(self, sign: str) -> bool:
        if self.text.startswith(sign, self.position):
            self.position += len(sign)
            return True
        return False

    def _expect(self, sign: str, what: str) -> None:
        if not self._take(sign):
            raise _SyntaxError(self.position, f"expected {what}")


def _setting(match: re.Match[str]) -> SettingAction:
    name, value = match[1], match[2]
    if name in {"max-frames", "min-frames"}:
        if not (value.isascii() and value.isdigit() and int(value[:12]) <= MAX_FRAMES):
            raise _SyntaxError(match.start(2), f"expected a number of frames from 0 to {MAX_FRAMES}")
        return SettingAction(name, int(value))
    if name == "invert-stacktrace":
        if value not in _BOOLEANS:
            raise _SyntaxError(match.start(2), "expected 1, yes, true, 0, no or false")
        return SettingAction(name, _BOOLEANS[value])
    if name == "category":
        return SettingAction(name, value)
    raise _SyntaxError(
        match.start(1), f"unknown setting `{name}`, expected max-frames, min-frames, invert-stacktrace or category"
    )
