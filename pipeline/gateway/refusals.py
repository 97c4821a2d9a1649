"""Counts refusals. They become one record of the spool a second, however many requests an attacker sends."""

from __future__ import annotations

from collections import Counter

from pipeline.gateway.spooled import Count, Refusals
from pipeline.model.category import DataCategory
from pipeline.model.outcome import Fate

MAX_KINDS = 1_000
"""How many kinds of refusals are counted at a time, because a record's head holds 64 KiB. Further ones count without key."""

_Kind = tuple[int, str | None, Fate, str, DataCategory]


class RefusalCounts:
    """Refusals since the last `take`. Not thread-safe."""

    def __init__(self) -> None:
        self._counts: Counter[_Kind] = Counter()
        self.uncounted = 0
        """Refusals beyond MAX_KINDS, which get no outcome."""

    def add(
        self, project_id: int, key: str | None, fate: Fate, reason: str | None, category: DataCategory, quantity: int
    ) -> None:
        """Count one refusal."""
        kind = (project_id, key, fate, reason or "", category)
        if kind not in self._counts and len(self._counts) >= MAX_KINDS:
            self.uncounted += 1
            return
        self._counts[kind] += quantity

    def take(self, received: float) -> list[Refusals]:
        """Return the counts, in heads that fit a record, and reset them."""
        counts = [Count(*kind, quantity) for kind, quantity in self._counts.items()]
        self._counts.clear()
        return [Refusals(received, tuple(counts[at : at + 300])) for at in range(0, len(counts), 300)]
