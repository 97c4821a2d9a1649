"""Positions that were looked up before: floods of events repeat their frames, and the library's look-up takes up to 300 µs."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.sourcemaps.engine import MAX_POSITION, Position
from pipeline.sourcemaps.source_text import CONTEXT_COST_BYTES

_MAX_POSITIONS = 20_000
"""Per map: 30 MB at most for one map."""

_MAX_NAME = 4_096
"""Longer names are none: a map may call its sources anything."""


def _bounded(name: str | None) -> str | None:
    return name if name is not None and len(name) <= _MAX_NAME else None


class PositionMemory:
    """Remembers the answers of one map's look-up, misses too."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], Position | None] = {}

    @property
    def cost_bytes(self) -> int:
        """What the remembered positions take, with their context lines."""
        return len(self._known) * CONTEXT_COST_BYTES

    def look_up(self, line: int, column: int, find: Callable[[int, int], Position | None]) -> Position | None:
        """Give what was found before, else what `find` gives.

        `find` is not kept: a map that its memory points back to would stay until the garbage collector comes by.
        """
        try:
            return self._known[line, column]
        except KeyError:
            pass
        found = find(line, max(column, 1)) if 1 <= line <= MAX_POSITION and column <= MAX_POSITION else None
        if found is not None and max(len(found.source or ""), len(found.name or ""), len(found.scope or "")) > _MAX_NAME:
            found = found._replace(source=_bounded(found.source), name=_bounded(found.name), scope=_bounded(found.scope))
        if len(self._known) >= _MAX_POSITIONS:
            self._known.clear()
        self._known[line, column] = found
        return found
