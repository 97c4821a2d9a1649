"""What an engine for source maps gives: positions, and with `symbolic` the names of the scopes around them."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from pipeline.sourcemaps.source_text import Context

MAX_POSITION = 2**32 - 1
"""Lines and columns are 32-bit numbers in every engine; larger ones are nowhere."""


class MalformedMapError(Exception):
    """The map cannot be used; the text says what is wrong with it."""


class Position(NamedTuple):
    """An original position. `line` and `column` count from 1.

    `source` is the map's name for the file, `name` the token's, `scope` the dotted name of the innermost function around it
    (empty for an anonymous one, None where the engine knows none), `context` the lines around where the map has the source.
    """

    line: int
    column: int
    source: str | None
    name: str | None
    scope: str | None
    context: Context | None


class ParsedMap(Protocol):
    """A map in memory. Look-ups are repeatable and remembered."""

    @property
    def cost_bytes(self) -> int:
        """What it takes of the memory that caches may use, in bytes."""

    def locate(self, line: int, column: int) -> Position | None:
        """Find the token at or left of (`line`, `column`), both from 1 and in UTF-16 units, on the same line."""

    def sources_without_content(self) -> list[str]:
        """Name the sources whose text the map does not carry; for explanations, not for the hot path."""


class Engine(Protocol):
    """Parses maps."""

    @property
    def name(self) -> str:
        """The name that the setting uses."""

    def parse(self, minified: bytes, source_map: bytes) -> ParsedMap:
        """Parse a map together with the file that it is for. Raises MalformedMapError."""
