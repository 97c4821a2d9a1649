"""Finds the rules that could match a stack at all, so that the library tries only those.

Each rule is indexed by one text that a stack must contain for the rule to match. `**/vendor/library/**` needs the path part
`library`, and `std::*` needs the function part `std`. If a pattern has no whole part, a piece of text between its wildcards
must occur. A pattern without even that is tried on every stack.

The rules found for a stack are joined into one set. Joined sets are cached, since the stacks of one program need the same few.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple

from lru import LRU

from pipeline.grouping.stacktrace_rules import ophio
from pipeline.grouping.stacktrace_rules.rule import FrameMatcher, MatcherKey, StackTraceRule

MAX_SETS = 512
"""The joined sets that one rule set caches. Each holds references to its rules, a few kB."""

SEPARATORS: dict[MatcherKey, tuple[bytes, bytes]] = {
    "path": (b"/", b"/"),
    "package": (b"/", b"/"),
    "module": (b".", b"/"),
    "function": (b":", b"."),
}
"""The fields that can be looked up, and the two characters that separate the parts of their values."""

_FIELDS: tuple[MatcherKey, ...] = tuple(SEPARATORS)
_WILDCARD = re.compile(rb"[*?]+")
_CLASS_OR_CHOICE = re.compile(rb"[\[{}\\]")


class RequiredText(NamedTuple):
    """A text that some frame's field must contain: as a whole part if `is_part`, else anywhere."""

    key: MatcherKey
    text: bytes
    is_part: bool


class Prefilter:
    """Compiled rules, and an index over them for each mix of platform families that a stack can have."""

    def __init__(self, rules: Sequence[StackTraceRule]) -> None:
        self._rules = tuple(rules)
        self._compiled = [ophio.compile_rule(rule) for rule in rules]
        self._required = _choose_required(rules)
        self._indexes: dict[frozenset[bytes], _Index] = {}
        """At most seven: there are three families."""
        self._sets: LRU[tuple[int, ...], ophio.OphioRules] = LRU(MAX_SETS)

    def positions(self, frames: Sequence[ophio.MatchFrame], excluded: frozenset[int]) -> tuple[int, ...]:
        """Return the positions of the rules to try, in order, without those in `excluded`."""
        families = frozenset([frame["family"] for frame in frames])
        index = self._indexes.get(families)
        if index is None:
            index = self._indexes[families] = _Index(self._rules, self._required, families)
        return tuple(sorted(index.possible(frames) - excluded))

    def rules_for(self, frames: Sequence[ophio.MatchFrame], excluded: frozenset[int]) -> ophio.OphioRules:
        """Return the rules to try as one set, without those at the positions in `excluded`."""
        chosen = self.positions(frames, excluded)
        found = self._sets.get(chosen)
        if found is None:
            found = self._sets[chosen] = ophio.join_rules([self._compiled[position] for position in chosen])
        return found


class _Index:
    """The rules that can match frames of some families, by the text that each requires."""

    def __init__(
        self, rules: Sequence[StackTraceRule], required: Sequence[RequiredText | None], families: frozenset[bytes]
    ) -> None:
        self._always: list[int] = []
        self._parts: dict[MatcherKey, dict[bytes, list[int]]] = {}
        self._texts: dict[MatcherKey, list[tuple[bytes, int]]] = {}
        for position, (rule, text) in enumerate(zip(rules, required, strict=True)):
            if not all(_admits(matcher, families) for matcher in rule.matchers):
                continue
            if text is None:
                self._always.append(position)
            elif text.is_part:
                self._parts.setdefault(text.key, {}).setdefault(text.text, []).append(position)
            else:
                self._texts.setdefault(text.key, []).append((text.text, position))

    def possible(self, frames: Sequence[ophio.MatchFrame]) -> set[int]:
        """Return the positions of the rules whose required text some frame contains."""
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


def parts_of(key: MatcherKey, values: Iterable[bytes]) -> set[bytes]:
    """Split the values of a field into parts at its separators."""
    first, second = SEPARATORS[key]
    return set(first.join(values).replace(second, first).split(first))


def required_texts(matcher: FrameMatcher) -> list[RequiredText]:
    """Return the texts that a frame must contain for the matcher to hold.

    These are all the whole parts in its pattern. If it has none, it is the longest piece of text. The list is empty if the
    pattern requires no text.
    """
    if matcher.negated or matcher.key not in SEPARATORS:
        return []
    pattern = matcher.pattern.encode("utf-8", "replace")
    is_path = matcher.key in {"path", "package"}
    if is_path:
        if not pattern.isascii():  # the library lowers the case of other letters in its own way
            return []
        pattern = pattern.replace(b"\\", b"/").lower()
    plain = _CLASS_OR_CHOICE.split(pattern, maxsplit=1)
    pieces = _WILDCARD.split(plain[0])
    first, second = SEPARATORS[matcher.key]
    parts: list[bytes] = []
    texts: list[bytes] = []
    for number, piece in enumerate(pieces):
        texts.append(piece.strip(b"/"))  # `**/x` also matches `x`: a slash beside `**` may be missing
        cut = piece.replace(second, first).split(first)
        starts_whole = number == 0
        ends_whole = number == len(pieces) - 1 and len(plain) == 1
        parts += cut[0 if starts_whole else 1 : len(cut) if ends_whole else -1]
    parts = [part for part in parts if part]
    if parts:
        return [RequiredText(matcher.key, part, is_part=True) for part in parts]
    longest = max(texts, key=len)
    return [RequiredText(matcher.key, longest, is_part=False)] if longest else []


def _choose_required(rules: Sequence[StackTraceRule]) -> list[RequiredText | None]:
    """Choose the most selective text of each rule: a part that few rules share, before a long piece of text."""
    candidates = [[text for matcher in _all_matchers(rule) for text in required_texts(matcher)] for rule in rules]
    shared = Counter(text for of_rule in candidates for text in set(of_rule))
    return [
        min(of_rule, key=lambda text: (not text.is_part, shared[text], -len(text.text)), default=None) for of_rule in candidates
    ]


def _all_matchers(rule: StackTraceRule) -> list[FrameMatcher]:
    return [*rule.matchers, *([rule.caller] if rule.caller else []), *([rule.callee] if rule.callee else [])]


def _admits(matcher: FrameMatcher, families: frozenset[bytes]) -> bool:
    """Whether a matcher could hold for a frame of one of the families."""
    if matcher.key != "family":
        return True
    names = set(matcher.pattern.split(","))
    return any((("all" in names) or (family.decode() in names)) != matcher.negated for family in families)
