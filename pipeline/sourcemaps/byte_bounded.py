"""A cache that is bounded in bytes: the least recently used goes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class ByteBounded(Generic[K, V]):
    """Keeps values up to `max_bytes` together. A value larger than that is not kept at all."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self.held_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        """Give a value and count this as its use."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: K, value: V, cost_bytes: int) -> None:
        """Keep a value, or change what it costs, and let go of others until all fit."""
        previous = self._entries.pop(key, None)
        if previous is not None:
            self.held_bytes -= previous[1]
        if cost_bytes > self._max_bytes:
            return
        self._entries[key] = (value, cost_bytes)
        self.held_bytes += cost_bytes
        while self.held_bytes > self._max_bytes:
            _, (_, freed_bytes) = self._entries.popitem(last=False)
            self.held_bytes -= freed_bytes
