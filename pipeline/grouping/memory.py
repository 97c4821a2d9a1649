"""Memory: a cache that is bounded in bytes and counts what it does. The least recently used goes first."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")

MAX_SHARE = 64
"""One entry takes at most this part of the whole: a giant stack must not push out everything else."""


class Memory(Generic[T]):
    """Values by digest. `size_of_entry` is the caller's estimate of what the entry and its key take, in bytes."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.used_bytes = 0
        self.hits = 0
        self.misses = 0
        self._entries: dict[bytes, tuple[T, int]] = {}

    def get(self, key: bytes) -> T | None:
        """Look up a value, and keep it young."""
        entry = self._entries.pop(key, None)
        if entry is None:
            self.misses += 1
            return None
        self._entries[key] = entry
        self.hits += 1
        return entry[0]

    def put(self, key: bytes, value: T, size_of_entry: int) -> None:
        """Remember a value; one that is too large is not kept."""
        if size_of_entry > self.max_bytes // MAX_SHARE:
            return
        old = self._entries.pop(key, None)
        self.used_bytes += size_of_entry - (old[1] if old else 0)
        self._entries[key] = (value, size_of_entry)
        while self.used_bytes > self.max_bytes:
            oldest = next(iter(self._entries))
            self.used_bytes -= self._entries.pop(oldest)[1]

    def __len__(self) -> int:
        """Count the entries."""
        return len(self._entries)
