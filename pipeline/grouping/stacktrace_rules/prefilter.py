"""Prefilter: which rules could hold for a stack at all, so that the library tries only those.

A rule hangs on one anchor: the part that fewest rules ask for, else a piece of text. A stack's parts are looked up, its text is
searched, and the rules found are joined into one set, which is remembered: stacks of one program need the same few sets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain

from pipeline.grouping.stacktrace_rules import ophio
from pipeline.grouping.stacktrace_rules.anchors import SEPARATORS, Anchor, anchors_of, parts_of
from pipeline.grouping.stacktrace_rules.rule import FrameMatcher, MatcherKey, StackTraceRule

MAX_SETS = 512
"""Joined sets that are remembered: each holds references to its rules, a few kB."""

_FIELDS: tuple[MatcherKey, ...] = tuple(SEPARATORS)


class Prefilter:
    """Rules, compiled one by one, and an index over them for each mix of platform families that a stack can have."""

    def __init__(self, rules: Sequence[StackTraceRule]) -> None:
        self._rules = tuple(rules)
        self._compiled = [ophio.compile_rule(rule) for rule in rules]
        self._anchors = _choose_anchors(rules)
        self._indexes: dict[frozenset[bytes], _Index] = {}
        self._sets: dict[tuple[int, ...], ophio.OphioRules] = {}

    def positions(self, frames: Sequence[ophio.MatchFrame], failing: frozenset[int]) -> tuple[int, ...]:
        """Give the positions of the rules to try, in order; `failing` are those that the exception rules out."""
        families = frozenset([frame["family"] for frame in frames])
        index = self._indexes.get(families)
        if index is None:
            index = self._indexes[families] = _Index(self._rules, self._anchors, families)
        return tuple(sorted(index.possible(frames) - failing))

    def rules_for(self, frames: Sequence[ophio.MatchFrame], failing: frozenset[int]) -> ophio.OphioRules:
        """Give the rules to try as one set."""
        chosen = self.positions(frames, failing)
        found = self._sets.get(chosen)
        if found is None:
            if len(self._sets) >= MAX_SETS:
                self._sets.clear()
            found = self._sets[chosen] = ophio.join_rules([self._compiled[position] for position in chosen])
        return found


class _Index:
    """The rules that can hold for frames of some families, by what they hang on."""

    def __init__(self, rules: Sequence[StackTraceRule], anchors: Sequence[Anchor | None], families: frozenset[bytes]) -> None:
        self._always: list[int] = []
        self._parts: dict[MatcherKey, dict[bytes, list[int]]] = {}
        self._texts: dict[MatcherKey, list[tuple[bytes, int]]] = {}
        for position, (rule, anchor) in enumerate(zip(rules, anchors, strict=True)):
            if not all(_admits(matcher, families) for matcher in rule.matchers):
                continue
            if anchor is None:
                self._always.append(position)
            elif anchor.is_part:
                self._parts.setdefault(anchor.key, {}).setdefault(anchor.text, []).append(position)
            else:
                self._texts.setdefault(anchor.key, []).append((anchor.text, position))

    def possible(self, frames: Sequence[ophio.MatchFrame]) -> set[int]:
        """Give the positions of the rules whose anchor some frame holds."""
        found = set(self._always)
        for key in _FIELDS:
            parts, texts = self._parts.get(key), self._texts.get(key)
            if parts is None and texts is None:
                continue
            values = {frame[key] for frame in frames}
            values.discard(None)
            if parts is not None:
                found.update(chain.from_iterable([parts[part] for part in parts_of(key, values) & parts.keys()]))
            if texts is not None:
                joined = b"\n".join(values)
                found.update([position for text, position in texts if text in joined])
        return found


def _choose_anchors(rules: Sequence[StackTraceRule]) -> list[Anchor | None]:
    """Choose for each rule the anchor that tells most: a part that few rules share, before a long text."""
    candidates = [[anchor for matcher in _all_matchers(rule) for anchor in anchors_of(matcher)] for rule in rules]
    shared = Counter(anchor for of_rule in candidates for anchor in set(of_rule))
    return [
        min(of_rule, key=lambda anchor: (not anchor.is_part, shared[anchor], -len(anchor.text)), default=None)
        for of_rule in candidates
    ]


def _all_matchers(rule: StackTraceRule) -> list[FrameMatcher]:
    return [*rule.matchers, *([rule.caller] if rule.caller else []), *([rule.callee] if rule.callee else [])]


def _admits(matcher: FrameMatcher, families: frozenset[bytes]) -> bool:
    """Say whether a matcher could hold for a frame of one of the families."""
    if matcher.key != "family":
        return True
    names = set(matcher.pattern.split(","))
    return any((("all" in names) or (family.decode() in names)) != matcher.negated for family in families)
