"""The part of the rules that looks at the exception which owns a stack: its type, value and mechanism.

The cache of stacks must distinguish exceptions as far as rules do, and no further. With the whole value in its key, every
message would be another stack. So the key holds which rules the exception excludes. For most projects there are none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import xxhash
from lru import LRU

from pipeline.grouping.stacktrace_rules import ophio
from pipeline.grouping.stacktrace_rules.rule import EXCEPTION_KEYS, FlagAction, FrameMatcher, MatcherKey, StackTraceRule

MAX_CACHED = 2_000
MAX_CACHED_BYTES = 200
"""The texts whose result a rule set caches, and how long each may be. Types come again, long messages do not.

With 1,000 rules the cache uses a few MB."""

_FIELDS: dict[MatcherKey, str] = {"type": "ty", "value": "value", "mechanism": "mechanism"}
_SPECIAL = re.compile(r"[*?\[{}\\]")
_ANY_FRAME: ophio.MatchFrame = dict.fromkeys(("category", "in_app", "orig_in_app", "module", "package", "path")) | {
    "family": b"other",
    "function": b"",
}


class ExcludedRules(NamedTuple):
    """The positions of the rules that one text of an exception excludes, and a digest of them."""

    positions: frozenset[int]
    digest: bytes


class ExceptionMatchers:
    """The distinct matchers that look at exceptions, with the rules that they belong to. False if there are none."""

    def __init__(self, rules: Sequence[StackTraceRule]) -> None:
        self._tests: dict[MatcherKey, list[_Test]] = {}
        self._cached: LRU[tuple[MatcherKey, bytes | None], ExcludedRules] = LRU(MAX_CACHED)
        by_matcher: dict[FrameMatcher, list[int]] = {}
        for position, rule in enumerate(rules):
            for matcher in (*rule.matchers, rule.caller, rule.callee):
                if matcher is not None and matcher.key in EXCEPTION_KEYS:
                    by_matcher.setdefault(matcher, []).append(position)
        for matcher, positions in by_matcher.items():
            self._tests.setdefault(matcher.key, []).append(_Test(matcher, positions))

    def excluded(self, exception: dict[str, bytes | None]) -> frozenset[int]:
        """Return the positions of the rules that cannot match a stack of this exception."""
        return frozenset().union(*[excluded.positions for excluded in self._all_excluded(exception)])

    def key(self, exception: dict[str, bytes | None]) -> bytes:
        """Return the exception's part of a cache key. Equal keys mean that the same rules are excluded."""
        return b"".join([excluded.digest for excluded in self._all_excluded(exception)])

    def _all_excluded(self, exception: dict[str, bytes | None]) -> list[ExcludedRules]:
        return [self._excluded_by(key, tests, exception[_FIELDS[key]]) for key, tests in self._tests.items()]

    def _excluded_by(self, key: MatcherKey, tests: list[_Test], text: bytes | None) -> ExcludedRules:
        found = self._cached.get((key, text))
        if found is None:
            positions = frozenset(position for test in tests if not test.holds(text) for position in test.positions)
            found = ExcludedRules(positions, xxhash.xxh3_128_digest(repr(sorted(positions)).encode()))
            if text is None or len(text) <= MAX_CACHED_BYTES:
                self._cached[key, text] = found
        return found

    def __bool__(self) -> bool:
        return bool(self._tests)


class _Test:
    """One matcher. The library tries it only on a text that starts like its pattern."""

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
