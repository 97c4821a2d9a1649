"""What an engine for source maps returns: positions, and with `symbolic` also the names of the scopes around them."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from pipeline.sourcemaps.source_text import SourceContext

MAX_COORDINATE = 2**32 - 1
"""Engines hold lines and columns as 32-bit numbers, so no map has a larger one."""
MAX_POSITIONS = 20_000
"""Remembered for each map. Floods of events repeat their frames, and a look-up takes up to 300 µs. 30 MB at most for one map."""
POSITION_COST_BYTES = 1_500
"""What a remembered position takes with its context lines."""
_MAX_NAME = 4_096


class MalformedMapError(Exception):
    """The map cannot be used. The text says what is wrong with it."""


class SourcePosition(NamedTuple):
    """A position in an original file. `line` and `column` count from 1.

    `source` is the map's name for the file, and `name` is the name of the map's token.
    `scope` is the dotted name of the innermost function around the position: empty for an anonymous function, None if the engine
    knows of no function. `context` holds the lines around the position if the map carries the file.
    """

    line: int
    column: int
    source: str | None
    name: str | None
    scope: str | None
    context: SourceContext | None

    def with_bounded_names(self) -> SourcePosition:
        """Return the position without names of more than 4,096 characters: a map may name its sources anything."""
        if max(len(self.source or ""), len(self.name or ""), len(self.scope or "")) <= _MAX_NAME:
            return self
        return self._replace(source=_bounded(self.source), name=_bounded(self.name), scope=_bounded(self.scope))


def _bounded(name: str | None) -> str | None:
    return name if name is not None and len(name) <= _MAX_NAME else None


class ParsedMap(Protocol):
    """A map in memory. A look-up can be repeated and is remembered."""

    @property
    def cost_bytes(self) -> int:
        """The memory that the map takes now, in bytes. It grows with the positions that are remembered."""

    @property
    def ignored_sources(self) -> frozenset[str]:
        """The sources that the map's `ignoreList` calls foreign code, by the names that positions have."""

    def locate(self, line: int, column: int) -> SourcePosition | None:
        """Return the token at or left of (`line`, `column`) on the same line, or None.

        Both count from 1, in UTF-16 units. A column below 1 counts as 1.
        """

    def sources_without_content(self) -> list[str]:
        """Return the names of the sources whose text the map does not carry. Slow: only for explanations."""


class Engine(Protocol):
    """Parses maps."""

    @property
    def name(self) -> str:
        """The engine's name in the setting `artifacts.engine`."""

    def parse(self, minified: bytes, source_map: bytes) -> ParsedMap:
        """Parse a map together with its built file. Raises MalformedMapError."""
