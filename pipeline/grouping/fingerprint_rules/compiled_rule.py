"""CompiledRule: a rule's matchers, compiled and put together by the group of items that they look at."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pipeline.grouping.fingerprint_rules.event_values import EventValues, Item, group_of
from pipeline.grouping.fingerprint_rules.glob import Glob
from pipeline.grouping.fingerprint_rules.rule import EventMatcher

_IGNORING_CASE = frozenset({"message", "value", "level"})
_TRUE = frozenset({"1", "yes", "true", "on"})
_FALSE = frozenset({"0", "no", "false", "off"})


class CompiledMatcher:
    """One compiled matcher."""

    __slots__ = ("_negated", "_pattern", "glob", "key")

    def __init__(self, matcher: EventMatcher) -> None:
        self.key = matcher.key
        self._pattern = matcher.pattern
        self._negated = matcher.negated
        self.glob = None if matcher.key in {"family", "sdk", "app"} else glob_for(matcher.key, matcher.pattern)
        """None for the keys whose patterns are words of a list."""

    @property
    def weight(self) -> int:
        """Say how few events satisfy the matcher, as far as its text tells; 0 where events without the value do, or all may."""
        if self._negated or self.glob is None:
            return 0
        return 1 + len(self.glob.chunk) + (100 if self.glob.is_literal else 0)

    def holds(self, item: Item) -> bool:
        """Say whether an item satisfies the matcher; what the item does not have satisfies negations only."""
        value = item.get(self.key)
        return (value is not None and self._accepts(value)) is not self._negated

    def _accepts(self, value: Any) -> bool:
        glob = self.glob
        if glob is not None:
            texts = value if isinstance(value, tuple) else (value,)
            return any(glob.accepts(glob.fold(text)) for text in texts)
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

    def holds(self, facts: EventValues) -> bool:
        """Say whether in each group one item satisfies all matchers of that group. A group without items never does."""
        return all(
            any(all(matcher.holds(item) for matcher in matchers) for item in facts.items(group))
            for group, matchers in self._groups.items()
        )

    def anchor(self) -> CompiledMatcher | None:
        """Give the matcher that fewest events satisfy; None where the rule has none to look it up by."""
        heaviest = max(self._matchers, key=lambda matcher: matcher.weight)
        return heaviest if heaviest.weight else None


def glob_for(key: str, pattern: str) -> Glob:
    """Compile a pattern the way its key compares: which ignore case, and which are paths."""
    return Glob(pattern, is_path=key in {"path", "package"}, ignore_case=key in _IGNORING_CASE)
