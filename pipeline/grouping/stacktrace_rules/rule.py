"""Rule: one line of `enhancements.rules` as an object that prints back to its line (spec/grouping.md, section 5.1)."""

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
"""Every name that a file may use, to the one that we know it by."""

EXCEPTION_KEYS = frozenset({"type", "value", "mechanism"})
"""Matchers that look at the exception that owns the stack, not at a frame."""

FLAGS = frozenset({"group", "app", "prefix", "sentinel"})
WITHOUT_EFFECT = frozenset({"prefix", "sentinel"})
"""Flags that users still have in their files, and that never change a hash (spec, section 5.3)."""

_LONG_NAMES = {"type": "error.type", "value": "error.value", "mechanism": "error.mechanism"}
_TAKEN_FOR_AN_ESCAPE = re.compile(r'\\(?:[\\"]|$)')
_PLAIN = re.compile(r'[^\s"]\S*', re.ASCII)


@dataclass(frozen=True, slots=True)
class FrameMatcher:
    """`[!]key:pattern`."""

    key: MatcherKey
    pattern: str
    negated: bool = False

    def __str__(self) -> str:
        """Print as a file would have it."""
        pattern = self.pattern
        if _TAKEN_FOR_AN_ESCAPE.search(pattern):
            pattern = pattern.replace("\\", "\\\\")
        if not _PLAIN.fullmatch(pattern):
            pattern = '"' + pattern.replace('"', '\\"') + '"'
        return f"{'!' if self.negated else ''}{_LONG_NAMES.get(self.key, self.key)}:{pattern}"


@dataclass(frozen=True, slots=True)
class FlagAction:
    """`[^|v](+|-)flag`: for the frame, for those towards the crash (`^`), or for those before it (`v`)."""

    flag: str
    value: bool
    reach: Literal["", "^", "v"] = ""

    def __str__(self) -> str:
        """Print as a file would have it."""
        return f"{self.reach}{'+' if self.value else '-'}{self.flag}"


@dataclass(frozen=True, slots=True)
class SettingAction:
    """`name=value` for the whole stack (`max-frames`, `min-frames`, `invert-stacktrace`) or the frame (`category`)."""

    name: str
    value: int | bool | str

    def __str__(self) -> str:
        """Print as a file would have it."""
        value = int(self.value) if isinstance(self.value, bool) else self.value
        return f"{self.name}={value}"


Action = FlagAction | SettingAction


@dataclass(frozen=True, slots=True)
class StackTraceRule:
    """One rule. All matchers must hold for a frame, `caller` for the one before it, `callee` for the one after it."""

    matchers: tuple[FrameMatcher, ...]
    actions: tuple[Action, ...]
    caller: FrameMatcher | None = None
    callee: FrameMatcher | None = None
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        """Print as a file would have it."""
        caller = f"[ {self.caller} ] | " if self.caller else ""
        callee = f" | [ {self.callee} ]" if self.callee else ""
        return f"{caller}{' '.join(map(str, self.matchers))}{callee} {' '.join(map(str, self.actions))}"

    @property
    def origin(self) -> str:
        """Say where the rule stands, as `file:line`."""
        return f"{self.file}:{self.line}"
