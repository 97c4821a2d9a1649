"""A fingerprint rule compiled for matching: its matchers, sorted by the group of the event's values that they look at."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pipeline.globs.glob import Glob, lenient_glob
from pipeline.globs.parser import RULE, RULE_IGNORING_CASE, RULE_PATH
from pipeline.grouping.fingerprint_rules.event_values import EventValues, ValueSet, group_of
from pipeline.grouping.fingerprint_rules.rule import EventMatcher

_IGNORING_CASE = frozenset({"message", "value", "level"})
_PATHS = frozenset({"path", "package"})
_WORD_KEYS = frozenset({"family", "sdk", "app"})
_TRUE = frozenset({"1", "yes", "true", "on"})
_FALSE = frozenset({"0", "no", "false", "off"})


class CompiledMatcher:
    """One compiled matcher. `glob` is None for the keys whose pattern is a list of words: `family`, `sdk` and `app`."""

    __slots__ = ("_negated", "_pattern", "glob", "key")

    def __init__(self, matcher: EventMatcher) -> None:
        self.key = matcher.key
        self._pattern = matcher.pattern
        self._negated = matcher.negated
        self.glob = None if matcher.key in _WORD_KEYS else glob_for(matcher.key, matcher.pattern)

    @property
    def selectivity(self) -> int:
        """Return an estimate, from the pattern's text, of how few events the matcher accepts. Larger numbers mean fewer events.

        0 means that it cannot be used to look the rule up: an event without the value may satisfy it, or all events may.
        """
        if self._negated or self.glob is None:
            return 0
        return 1 + len(self.glob.required_text) + (100 if self.glob.is_literal else 0)

    def holds(self, values: ValueSet) -> bool:
        """Whether a set of values satisfies the matcher. A missing value satisfies negated matchers only."""
        value = values.get(self.key)
        return (value is not None and self._accepts(value)) is not self._negated

    def _accepts(self, value: Any) -> bool:
        glob = self.glob
        if glob is not None:
            texts = value if isinstance(value, tuple) else (value,)
            return any(map(glob.matches, texts))
        words = self._pattern.split(",")
        if self.key == "app":
            word = self._pattern.lower()
            return word in _TRUE if value else word in _FALSE
        return "all" in words or value in words


class CompiledRule:
    """All matchers of one rule."""

    __slots__ = ("_groups", "_matchers")

    def __init__(self, matchers: Iterable[EventMatcher]) -> None:
        self._matchers = [CompiledMatcher(matcher) for matcher in matchers]
        self._groups: dict[str, list[CompiledMatcher]] = {}
        for matcher in self._matchers:
            self._groups.setdefault(group_of(matcher.key), []).append(matcher)

    def holds(self, values: EventValues) -> bool:
        """Whether an event matches: in each group, one set of values satisfies all matchers of that group.

        A group without values, such as the frames of an event without a stack, never matches.
        """
        return all(
            any(all(matcher.holds(value_set) for matcher in matchers) for value_set in values.sets(group))
            for group, matchers in self._groups.items()
        )

    def most_selective_matcher(self) -> CompiledMatcher | None:
        """Return the matcher that the fewest events satisfy, or None if no matcher can be used to look the rule up."""
        best = max(self._matchers, key=lambda matcher: matcher.selectivity)
        return best if best.selectivity else None


def glob_for(key: str, pattern: str) -> Glob:
    """Compile a pattern in the way that its key is compared. A pattern that is not a glob matches nothing."""
    if key in _PATHS:
        return lenient_glob(pattern, RULE_PATH)
    return lenient_glob(pattern, RULE_IGNORING_CASE if key in _IGNORING_CASE else RULE)
