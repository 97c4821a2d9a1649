"""A cache that is bounded by the memory it uses. It counts hits and misses, and drops the least recently used entry first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class ByteBoundedLru(Generic[K, V]):
    """Holds values that together use at most `max_bytes`, as far as callers estimate their size.

    An entry larger than `max_entry_bytes` is not stored, so one giant cannot push out everything else.
    `max_entry_bytes` is `max_bytes` unless given. Not safe for use by several threads at once.

    A library's cache was measured and not taken: `cachetools` costs three times as much a look-up, and grouping does one for
    every stack trace. `lru-dict`, which other caches here use, bounds only the number of entries.
    """

    def __init__(self, max_bytes: int, *, max_entry_bytes: int | None = None) -> None:
        self.max_bytes = max_bytes
        self.max_entry_bytes = max_bytes if max_entry_bytes is None else max_entry_bytes
        self.held_bytes = 0
        self.hits = 0
        self.misses = 0
        self._entries: OrderedDict[K, tuple[V, int]] = OrderedDict()

    def get(self, key: K) -> V | None:
        """Return the value and mark it as the most recently used; None if there is none."""
        entry = self._entries.get(key)
        if entry is None:
            self.misses += 1
            return None
        self._entries.move_to_end(key)
        self.hits += 1
        return entry[0]

    def put(self, key: K, value: V, cost_bytes: int) -> None:
        """Store a value, or replace it and its size. `cost_bytes` is an estimate of what the value and its key use."""
        previous = self._entries.pop(key, None)
        if previous is not None:
            self.held_bytes -= previous[1]
        if cost_bytes > self.max_entry_bytes:
            return
        self._entries[key] = (value, cost_bytes)
        self.held_bytes += cost_bytes
        while self.held_bytes > self.max_bytes:
            _, (_, freed_bytes) = self._entries.popitem(last=False)
            self.held_bytes -= freed_bytes

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._entries)
