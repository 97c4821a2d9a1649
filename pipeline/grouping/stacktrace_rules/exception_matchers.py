"""Exception keys: what the rules in force say of the exception that owns a stack.

A memory of stacks must know of the exception what rules read of it, and no more: with the whole value in the key, every message
would be another stack. So the key holds verdicts: the rules that the exception rules out, none for most projects.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import xxhash

from pipeline.grouping.stacktrace_rules import ophio
from pipeline.grouping.stacktrace_rules.rule import EXCEPTION_KEYS, FlagAction, FrameMatcher, MatcherKey, StackTraceRule

MAX_CACHED = 2_000
MAX_REMEMBERED_BYTES = 200
"""Texts whose verdicts are kept, and how long they may be: types repeat, long messages do not. A few MB with 1,000 rules."""

_FIELDS: dict[MatcherKey, str] = {"type": "ty", "value": "value", "mechanism": "mechanism"}
_SPECIAL = re.compile(r"[*?\[{}\\]")
_ANY_FRAME: ophio.MatchFrame = dict.fromkeys(("category", "in_app", "orig_in_app", "module", "package", "path")) | {
    "family": b"other",
    "function": b"",
}


class Verdict(NamedTuple):
    """What one text of an exception rules out: positions of rules, and a digest of them."""

    failing: frozenset[int]
    key: bytes


class ExceptionMatchers:
    """The rules that look at exceptions, by the distinct matchers that they have."""

    def __init__(self, rules: Sequence[StackTraceRule]) -> None:
        self._tests: dict[MatcherKey, list[_Test]] = {}
        self._remembered: dict[tuple[MatcherKey, bytes | None], Verdict] = {}
        by_matcher: dict[FrameMatcher, list[int]] = {}
        for position, rule in enumerate(rules):
            for matcher in (*rule.matchers, rule.caller, rule.callee):
                if matcher is not None and matcher.key in EXCEPTION_KEYS:
                    by_matcher.setdefault(matcher, []).append(position)
        for matcher, positions in by_matcher.items():
            self._tests.setdefault(matcher.key, []).append(_Test(matcher, positions))

    def failing(self, exception: dict[str, bytes | None]) -> frozenset[int]:
        """Give the rules that cannot hold for a stack of this exception."""
        return frozenset().union(*[verdict.failing for verdict in self._verdicts(exception)])

    def key(self, exception: dict[str, bytes | None]) -> bytes:
        """Give what a memory of stacks must know of the exception: equal keys, equal rules that fail."""
        return b"".join([verdict.key for verdict in self._verdicts(exception)])

    def _verdicts(self, exception: dict[str, bytes | None]) -> list[Verdict]:
        return [self._verdict(key, tests, exception[_FIELDS[key]]) for key, tests in self._tests.items()]

    def _verdict(self, key: MatcherKey, tests: list[_Test], text: bytes | None) -> Verdict:
        found = self._remembered.get((key, text))
        if found is None:
            failing = frozenset(position for test in tests if not test.holds(text) for position in test.positions)
            found = Verdict(failing, xxhash.xxh3_128_digest(repr(sorted(failing)).encode()))
            if text is None or len(text) <= MAX_REMEMBERED_BYTES:
                if len(self._remembered) >= MAX_CACHED:
                    self._remembered.clear()
                self._remembered[key, text] = found
        return found

    def __bool__(self) -> bool:
        """Say whether any rule looks at exceptions."""
        return bool(self._tests)


class _Test:
    """One matcher, tried by the library where the text it starts with is there."""

    def __init__(self, matcher: FrameMatcher, positions: list[int]) -> None:
        self.positions = positions
        self._field = _FIELDS[matcher.key]
        self._negated = matcher.negated
        self._prefix = _SPECIAL.split(matcher.pattern, maxsplit=1)[0].encode("utf-8", "replace")
        self._rules = ophio.compile_rule(
            StackTraceRule((FrameMatcher(matcher.key, matcher.pattern),), (FlagAction("app", value=True),))
        )

    def holds(self, text: bytes | None) -> bool:
        if not (text or b"<unknown>").startswith(self._prefix):
            return self._negated
        exception: dict[str, bytes | None] = {"ty": None, "value": None, "mechanism": None}
        exception[self._field] = text
        ((_, marked),) = ophio.modify(self._rules, [_ANY_FRAME], exception)
        return (marked is True) != self._negated
