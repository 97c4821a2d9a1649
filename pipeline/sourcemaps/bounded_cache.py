"""A cache that is bounded by what its entries cost together. The least recently used entry goes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class BoundedCache(Generic[K, V]):
    """Keeps values that together cost at most `max_cost`: bytes, or 1 each. A value that costs more alone is not kept."""

    def __init__(self, max_cost: int) -> None:
        self._max_cost = max_cost
        self._entries: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self.held_cost = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        """Return the value, which is then the most recently used one, or None."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: K, value: V, cost: int = 1) -> None:
        """Keep a value, or change its cost, and drop other entries until all fit."""
        previous = self._entries.pop(key, None)
        if previous is not None:
            self.held_cost -= previous[1]
        if cost > self._max_cost:
            return
        self._entries[key] = (value, cost)
        self.held_cost += cost
        while self.held_cost > self._max_cost:
            _, (_, freed) = self._entries.popitem(last=False)
            self.held_cost -= freed
