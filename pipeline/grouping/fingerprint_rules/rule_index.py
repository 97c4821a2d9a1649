"""RuleIndex: finds the few rules that an event could match, so that a thousand rules cost little more than ten.

Each rule hangs on its most telling matcher. For a value of that matcher's key, which rules' patterns accept it is worked
out once and remembered as a bit mask; an event then costs one look-up per distinct value, not one per rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any

from pipeline.grouping.fingerprint_rules.compiled_rule import CompiledMatcher, CompiledRule
from pipeline.grouping.fingerprint_rules.event_values import EventValues
from pipeline.grouping.fingerprint_rules.glob import Glob
from pipeline.grouping.literal_index import LiteralIndex

MAX_CACHED = 50_000
"""Values whose masks are kept, of all projects together; at most some 30 MB. Forgotten all at once when full."""

MAX_REMEMBERED_CHARS = 256
"""A longer value is worked out each time: it hardly repeats, and would fill the memory."""

_REMEMBERED: dict[tuple[int, Any], int] = {}
"""Masks by the number of the index that worked them out, and the value. A reload makes new indexes, and so new numbers."""

_NUMBERS = count()


class RuleIndex:
    """Rules by the matcher that each hangs on. Bit n of a mask is the rule at position n."""

    def __init__(self, conditions: Sequence[CompiledRule]) -> None:
        self._always = 0
        anchored: dict[str, list[tuple[int, CompiledMatcher]]] = {}
        for position, condition in enumerate(conditions):
            anchor = condition.anchor()
            if anchor is None:
                self._always |= 1 << position
            else:
                anchored.setdefault(anchor.key, []).append((1 << position, anchor))
        self._by_key = {key: _KeyIndex(matchers) for key, matchers in anchored.items()}

    def candidates(self, facts: EventValues) -> int:
        """Give the mask of rules whose most telling matcher accepts something in the event, and of those that have none."""
        mask = self._always
        for key, index in self._by_key.items():
            for value in facts.values(key):
                mask |= index.mask(value)
        return mask


class _KeyIndex:
    """The rules that hang on one key. All patterns of a key fold values alike, so that a value is folded once."""

    def __init__(self, matchers: Sequence[tuple[int, CompiledMatcher]]) -> None:
        globs = [(bit, matcher.glob) for bit, matcher in matchers if matcher.glob is not None]
        self._bits = [bit for bit, _ in globs]
        self._globs: list[Glob] = [glob for _, glob in globs]
        self._chunks = LiteralIndex([glob.chunk for glob in self._globs])
        self._number = next(_NUMBERS)

    def mask(self, value: Any) -> int:
        """Give the rules whose pattern accepts the value: a text, or several of which one is enough."""
        known = _REMEMBERED.get((self._number, value))
        return self._work_out(value) if known is None else known

    def _work_out(self, value: Any) -> int:
        mask = 0
        texts = value if isinstance(value, tuple) else (value,)
        for text in texts:
            folded = self._globs[0].fold(text)
            for position in self._chunks.possible(folded):
                if self._globs[position].accepts(folded):
                    mask |= self._bits[position]
        if sum(map(len, texts)) <= MAX_REMEMBERED_CHARS:
            if len(_REMEMBERED) >= MAX_CACHED:
                _REMEMBERED.clear()
            _REMEMBERED[self._number, value] = mask
        return mask
