"""A stack-trace rule: one line of `enhancements.rules`. `str()` of a rule is its line.

See docs/spec/stack-trace-rules.md, "Syntax".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

MatcherKey = Literal["path", "package", "function", "module", "category", "family", "app", "type", "value", "mechanism"]

MATCHER_KEYS: dict[str, MatcherKey] = {
    "path": "path",
    "stack.abs_path": "path",
    "package": "package",
    "stack.package": "package",
    "function": "function",
    "stack.function": "function",
    "module": "module",
    "stack.module": "module",
    "category": "category",
    "family": "family",
    "app": "app",
    "type": "type",
    "error.type": "type",
    "value": "value",
    "error.value": "value",
    "mechanism": "mechanism",
    "error.mechanism": "mechanism",
}
"""The names that a file may use for a matcher's key, and the key of each."""

EXCEPTION_KEYS = frozenset({"type", "value", "mechanism"})
"""The keys that look at the exception which owns the stack, not at a frame."""

FLAGS = frozenset({"group", "app", "prefix", "sentinel"})
WITHOUT_EFFECT = frozenset({"prefix", "sentinel"})
"""Flags that existing files hold, and that never change a hash."""

_LONG_NAMES = {"type": "error.type", "value": "error.value", "mechanism": "error.mechanism"}
_TAKEN_FOR_AN_ESCAPE = re.compile(r'\\(?:[\\"]|$)')
_PLAIN = re.compile(r'[^\s"]\S*', re.ASCII)


@dataclass(frozen=True, slots=True)
class FrameMatcher:
    """One matcher, `[!]key:pattern`. Most keys look at a frame; those in `EXCEPTION_KEYS` look at the exception."""

    key: MatcherKey
    pattern: str
    negated: bool = False

    def __str__(self) -> str:
        """Return the text as a rule file has it."""
        pattern = self.pattern
        if _TAKEN_FOR_AN_ESCAPE.search(pattern):
            pattern = pattern.replace("\\", "\\\\")
        if not _PLAIN.fullmatch(pattern):
            pattern = '"' + pattern.replace('"', '\\"') + '"'
        return f"{'!' if self.negated else ''}{_LONG_NAMES.get(self.key, self.key)}:{pattern}"


@dataclass(frozen=True, slots=True)
class FlagAction:
    """`[^|v](+|-)flag`: sets or clears a flag of the frame, of the frames towards the crash (`^`), or those before it (`v`)."""

    flag: str
    value: bool
    reach: Literal["", "^", "v"] = ""

    def __str__(self) -> str:
        """Return the text as a rule file has it."""
        return f"{self.reach}{'+' if self.value else '-'}{self.flag}"


@dataclass(frozen=True, slots=True)
class SettingAction:
    """`name=value`. `category` is about the frame; `max-frames`, `min-frames` and `invert-stacktrace` are about the stack."""

    name: str
    value: int | bool | str

    def __str__(self) -> str:
        """Return the text as a rule file has it."""
        value = int(self.value) if isinstance(self.value, bool) else self.value
        return f"{self.name}={value}"


Action = FlagAction | SettingAction


@dataclass(frozen=True, slots=True)
class StackTraceRule:
    """One rule. A frame matches if all `matchers` hold for it, `caller` for the frame before it, and `callee` for the next one.

    `file` and `line` (from 1) say where the rule is written.
    """

    matchers: tuple[FrameMatcher, ...]
    actions: tuple[Action, ...]
    caller: FrameMatcher | None = None
    callee: FrameMatcher | None = None
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        """Return the text as a rule file has it."""
        caller = f"[ {self.caller} ] | " if self.caller else ""
        callee = f" | [ {self.callee} ]" if self.callee else ""
        return f"{caller}{' '.join(map(str, self.matchers))}{callee} {' '.join(map(str, self.actions))}"

    @property
    def origin(self) -> str:
        """Where the rule is written, as `file:line`."""
        return f"{self.file}:{self.line}"
