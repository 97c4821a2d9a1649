"""Known stacks: stack traces that came before, byte for byte, and what the stages made of them then.

Most bytes of an event are its stack trace, and most stack traces come again and again. What the stages make of one depends on its
bytes and on the rules alone, so it is worked out once. Known stacks are shared by all events that have them. They are read, and
never changed: a stage that would write to one is given a copy.

Both kinds are dicts, so that code that reads frames need not know of them. Code that asks `type(value) is dict` takes them for
something else, and so leaves them alone.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import orjson
import xxhash

from pipeline.model.byte_bounded_lru import ByteBoundedLru

BEGINNING = 160
"""Bytes by which a stack is looked up."""
MAX_ALIKE = 64
"""Stacks that may begin alike: the first frames of a program's stacks often are the same. The one found last is tried first."""
MAX_SETTLED = 8
"""Sets of rules, and places in an event, that one stack is remembered for."""

_MEMORY_PER_BYTE = 7
"""What a stack takes for each byte that it was sent as: its bytes, its frames in two forms, and its JSON. Measured with
tracemalloc on stacks of 12 and 25 frames."""

_MAX_RECENT = 40_000
"""Digests of stacks that were seen once, and of those that cannot be learned."""


class SettledStack(dict[str, Any]):
    """A stack as it is stored: normalized, with nothing to scrub, and marked by grouping. `printed` is its JSON."""

    __slots__ = ("grouped", "printed")

    def __init__(self, stack: dict[str, Any]) -> None:
        super().__init__(stack)
        self.printed = orjson.Fragment(orjson.dumps(stack))
        self.grouped: Any = None
        """What grouping keeps for it: the result under the rules that this stack was settled with."""


class KnownStack(dict[str, Any]):
    """A stack as normalization leaves it. `raw` is what was sent. `settled` is what became of it, by the rules that decided."""

    __slots__ = ("raw", "settled")

    def __init__(self, raw: bytes, stack: dict[str, Any]) -> None:
        super().__init__(stack)
        self.raw = raw
        self.settled: dict[Hashable, SettledStack] = {}

    def copied(self) -> dict[str, Any]:
        """Return a copy whose frames may be written to. Their lists of texts are shared, because no stage writes to those."""
        return {"frames": [frame.copy() for frame in self["frames"]]}

    def cost_bytes(self) -> int:
        """Return an estimate of the memory that this stack uses."""
        return 500 + _MEMORY_PER_BYTE * len(self.raw)

    def settle(self, key: Hashable, stack: dict[str, Any]) -> None:
        """Remember what became of this stack under the rules that `key` names."""
        if key not in self.settled:
            if len(self.settled) >= MAX_SETTLED:
                del self.settled[next(iter(self.settled))]
            self.settled[key] = SettledStack(stack)


class KnownStacks:
    """Known stacks by how they begin, bounded in memory. Those that begin like the least recently used one go first.

    A stack is found by its first bytes and then compared, byte for byte. So its end need not be looked for, and no sender can
    make one stack pass for another. Once the memory is half full, a stack is learned only when it comes for the second time. So
    stacks that come once do not push out those that come again.
    """

    def __init__(self, max_bytes: int) -> None:
        self.hits = 0
        self._max_bytes = max_bytes
        self._alike: ByteBoundedLru[bytes, list[KnownStack]] = ByteBoundedLru(max_bytes)
        self._seen_once = _RecentDigests()
        self._refused = _RecentDigests()

    @property
    def held_bytes(self) -> int:
        """An estimate of the memory that all stacks use."""
        return self._alike.held_bytes

    def find(self, text: bytes, start: int) -> KnownStack | None:
        """Return the known stack that stands in a text at `start`, or None."""
        alike = self._alike.get(text[start : start + BEGINNING])
        if alike is not None:
            for at, known in enumerate(alike):
                if text.startswith(known.raw, start):
                    if at:
                        alike.insert(0, alike.pop(at))
                    self.hits += 1
                    return known
        return None

    def learn(self, raw: bytes, make: Callable[[bytes], dict[str, Any] | None]) -> KnownStack | None:
        """Learn a stack. Return None if it is too early for that, or if `make` returns None for it, which is remembered too."""
        digest = xxhash.xxh3_64_intdigest(raw)
        if digest in self._refused:
            return None
        if self.held_bytes > self._max_bytes // 2 and digest not in self._seen_once:
            self._seen_once.add(digest)
            return None
        stack = make(raw)
        if stack is None:
            self._refused.add(digest)
            return None
        known = KnownStack(raw, stack)
        beginning = raw[:BEGINNING]
        alike = [known, *(self._alike.get(beginning) or ())][:MAX_ALIKE]
        self._alike.put(beginning, alike, sum(one.cost_bytes() for one in alike))
        return known


class _RecentDigests:
    """A set of digests that forgets the older half of them when it is full."""

    def __init__(self) -> None:
        self._newer: set[int] = set()
        self._older: set[int] = set()

    def __contains__(self, digest: int) -> bool:
        return digest in self._newer or digest in self._older

    def add(self, digest: int) -> None:
        if len(self._newer) >= _MAX_RECENT // 2:
            self._newer, self._older = set(), self._newer
        self._newer.add(digest)


def encode_shared(value: Any) -> Any:
    """Return what orjson prints for a known stack, as its `default`. Needs `OPT_PASSTHROUGH_SUBCLASS`. Raises TypeError."""
    if type(value) is SettledStack:
        return value.printed
    if type(value) is KnownStack:
        return dict(value)
    raise TypeError
