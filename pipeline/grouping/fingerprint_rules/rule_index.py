"""Finds the few rules that an event could match, so that a thousand rules cost little more than ten.

Each rule is indexed by its most selective matcher. Which of the rules accept a value of that matcher's key is computed once
per value and cached as a bit mask. An event then costs one look-up per distinct value, not one per rule.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

from lru import LRU

from pipeline.globs.glob import Glob
from pipeline.grouping.fingerprint_rules.compiled_rule import CompiledMatcher, CompiledRule
from pipeline.grouping.fingerprint_rules.event_values import EventValues

MAX_CACHED_CHARS = 256
"""The mask of a longer value is computed each time. Such a value rarely comes again, and would fill the cache."""

MAX_MASKS = 50_000
"""The masks of all projects together: at most some 30 MB, with a thousand rules for each."""

PIECE = 4
"""The number of characters by which `LiteralIndex` looks texts up."""


class RuleMasks:
    """Caches the masks of the rule indexes of all projects, at most `max_masks` of them. The least recently used goes first.

    Each index takes a number of its own as part of its keys. A reload makes new indexes, so old masks are never read again.
    """

    def __init__(self, max_masks: int = MAX_MASKS) -> None:
        self._numbers = count()
        self.masks: LRU[tuple[int, Any], int] = LRU(max_masks)

    def new_number(self) -> int:
        """Return a number that no other index has."""
        return next(self._numbers)


class RuleIndex:
    """Rules by their most selective matcher. Bit n of a mask stands for the rule at position n."""

    def __init__(self, rules: Sequence[CompiledRule], masks: RuleMasks) -> None:
        self._always = 0
        by_key: dict[str, list[tuple[int, CompiledMatcher]]] = {}
        for position, rule in enumerate(rules):
            matcher = rule.most_selective_matcher()
            if matcher is None:
                self._always |= 1 << position
            else:
                by_key.setdefault(matcher.key, []).append((1 << position, matcher))
        self._by_key = {key: _KeyIndex(matchers, masks) for key, matchers in by_key.items()}

    def candidates(self, values: EventValues) -> int:
        """Return the mask of the rules to try: those whose matcher accepts a value of the event, and those without one."""
        mask = self._always
        for key, index in self._by_key.items():
            for value in values.of(key):
                mask |= index.mask(value)
        return mask


class _KeyIndex:
    """The rules that are indexed by one key. All patterns of a key fold values alike, so a value is folded once."""

    def __init__(self, matchers: Sequence[tuple[int, CompiledMatcher]], masks: RuleMasks) -> None:
        globs = [(bit, matcher.glob) for bit, matcher in matchers if matcher.glob is not None]
        self._bits = [bit for bit, _ in globs]
        self._globs: list[Glob] = [glob for _, glob in globs]
        self._required = LiteralIndex([glob.required_text for glob in self._globs])
        self._number = masks.new_number()
        self._masks = masks.masks

    def mask(self, value: Any) -> int:
        """Return the mask of the rules whose pattern accepts the value: a text, or a tuple of texts of which one suffices."""
        known = self._masks.get((self._number, value))
        return self._compute(value) if known is None else known

    def _compute(self, value: Any) -> int:
        mask = 0
        texts = value if isinstance(value, tuple) else (value,)
        for text in texts:
            folded = self._globs[0].fold(text)
            for position in self._required.possible(folded):
                if self._globs[position].accepts(folded):
                    mask |= self._bits[position]
        if sum(map(len, texts)) <= MAX_CACHED_CHARS:
            self._masks[self._number, value] = mask
        return mask


class LiteralIndex:
    """Finds which of many texts occur in a value, without trying each of them.

    Each text is filed under one of its four-character pieces: the one that the fewest texts have. A value then looks up its
    own pieces. A thousand texts cost about as much as ten, unless all their pieces are alike.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = tuple(texts)
        self._short = [position for position, text in enumerate(texts) if len(text) < PIECE]
        pieces = [_pieces(text) for text in texts]
        common = Counter(piece for of_text in pieces for piece in of_text)
        self._filed: dict[str, list[int]] = {}
        for position, of_text in enumerate(pieces):
            if of_text:
                rarest = min(of_text, key=lambda piece: (common[piece], piece))
                self._filed.setdefault(rarest, []).append(position)

    def possible(self, value: str) -> Iterator[int]:
        """Yield the positions of all texts that occur in the value, in no order.

        A text shorter than a piece is always among them.
        """
        yield from self._short
        if len(value) > len(self._texts):  # a long value has more pieces than there are texts to try
            yield from (position for position, text in enumerate(self._texts) if len(text) >= PIECE and text in value)
            return
        for piece in _pieces(value) & self._filed.keys():
            yield from (position for position in self._filed[piece] if self._texts[position] in value)


def _pieces(text: str) -> set[str]:
    return {text[start : start + PIECE] for start in range(len(text) - PIECE + 1)}
