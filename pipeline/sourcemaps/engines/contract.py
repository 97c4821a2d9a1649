"""The contract of an engine for source maps. It returns positions, and `symbolic` also returns the names of scopes."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from pipeline.sourcemaps.source_text import SourceContext

MAX_COORDINATE = 2**32 - 1
"""The largest line or column. Engines hold them as 32-bit numbers."""
MAX_POSITIONS = 20_000
"""How many positions are cached for each map (30 MB at most). Floods of events repeat frames, and a look-up takes up to 300
µs."""
POSITION_COST_BYTES = 1_500
"""Memory of a cached position with its context lines."""
_MAX_NAME = 4_096


class MalformedMapError(Exception):
    """The map cannot be used. The message says why."""


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
        """Return the position without names of more than 4,096 characters, because maps may hold names of any length."""
        if max(len(self.source or ""), len(self.name or ""), len(self.scope or "")) <= _MAX_NAME:
            return self
        return self._replace(source=_bounded(self.source), name=_bounded(self.name), scope=_bounded(self.scope))


def _bounded(name: str | None) -> str | None:
    return name if name is not None and len(name) <= _MAX_NAME else None


class ParsedMap(Protocol):
    """A map in memory. Look-ups are cached."""

    @property
    def cost_bytes(self) -> int:
        """The memory that the map takes now, in bytes. It grows with the number of cached positions."""

    @property
    def ignored_sources(self) -> frozenset[str]:
        """The names of sources that the map's `ignoreList` marks as foreign code."""

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
