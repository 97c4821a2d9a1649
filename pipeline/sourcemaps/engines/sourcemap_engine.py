"""The engine that uses `sourcemap`, a library in pure Python. It finds positions, but no names of scopes.

The library reads neither indexed maps nor maps without `names`, joins source names as file paths, and gives a segment without a
source the line of the segment before it. So it is only used to decode the mappings of one plain map at a time, with
numbers instead of source names. Everything else is done here. See docs/spec/source-maps.md, "Traps of the libraries".
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import orjson
import sourcemap
from sourcemap.exceptions import SourceMapDecodeError

from pipeline.sourcemaps.engines.contract import (
    MAX_COORDINATE,
    MAX_POSITIONS,
    POSITION_COST_BYTES,
    MalformedMapError,
    SourcePosition,
)
from pipeline.sourcemaps.engines.ignore_list import find_ignored_sources, with_source_root
from pipeline.sourcemaps.engines.names_of_sources import NamesOfSources, OriginalNameReader
from pipeline.sourcemaps.map_references import without_guard
from pipeline.sourcemaps.source_text import SourceText

_DECODE_ERRORS = (SourceMapDecodeError, ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError)
_BYTES_PER_CHARACTER = 30
"""Memory of the library's objects for each byte of a map: 390 MB for a map of 14 MB."""


class _Section(NamedTuple):
    """A plain map, and the position in the built file where it begins, counted from 0."""

    line: int
    column: int
    index: Any
    sources: list[str | None]
    contents: list[object]


class SourcemapMap:
    """A parsed map."""

    def __init__(self, source_map: bytes, names: OriginalNameReader | None = None) -> None:
        self._fixed_cost_bytes = len(source_map) * _BYTES_PER_CHARACTER + 4096
        try:
            self._sections = _Sections(list(_sections(_read_json(source_map), 0, 0)), names)
        except _DECODE_ERRORS as error:
            raise MalformedMapError(f"{type(error).__name__}: {error}") from None
        self.ignored_sources = find_ignored_sources(source_map)
        self._locate = lru_cache(MAX_POSITIONS)(self._sections.locate)

    @property
    def cost_bytes(self) -> int:
        """Memory of the library's objects, the cached positions and the names of original files, in bytes."""
        return self._fixed_cost_bytes + self._sections.names_cost_bytes + self._locate.cache_info().currsize * POSITION_COST_BYTES

    def locate(self, line: int, column: int) -> SourcePosition | None:
        """Return the token at or left of a position on the same line, or None."""
        return self._locate(line, column)

    def sources_without_content(self) -> list[str]:
        """Return the names of the sources whose text the map does not carry."""
        return self._sections.sources_without_content()


class _Sections:
    """The sections of a map in their order; a plain map is one section."""

    def __init__(self, sections: list[_Section], names: OriginalNameReader | None) -> None:
        self._sections = sections
        self._names = NamesOfSources(names) if names is not None else None
        self._texts: dict[tuple[int, int], SourceText | None] = {}

    @property
    def names_cost_bytes(self) -> int:
        return self._names.cost_bytes if self._names is not None else 0

    def locate(self, line: int, column: int) -> SourcePosition | None:
        if not 1 <= line <= MAX_COORDINATE or column > MAX_COORDINATE:
            return None
        at = (line - 1, max(column, 1) - 1)
        for number in range(len(self._sections) - 1, -1, -1):
            section = self._sections[number]
            if (section.line, section.column) > at:
                continue
            # Only the first line of a section is moved sideways.
            column_here = at[1] - (section.column if at[0] == section.line else 0)
            try:
                token = section.index.lookup(at[0] - section.line, column_here)
            except IndexError:  # no token to the left; on its first line, an earlier section may have one
                if section.line == at[0]:
                    continue
                return None
            return self._position(number, section, token)
        return None

    def _position(self, number: int, section: _Section, token: Any) -> SourcePosition | None:
        if token.src is None:  # the segment maps to no source
            return None
        source = int(token.src)
        text = self._text(number, section, source)
        line, column = token.src_line + 1, token.src_col + 1
        context = text.context(line, column) if text is not None else None
        position = SourcePosition(line, column, section.sources[source], token.name or None, None, context)
        if self._names is not None:
            scope = self._names.find((number, source), position, lambda: text.content if text is not None else None)
            position = position._replace(scope=scope)
        return position.with_bounded_names()

    def _text(self, number: int, section: _Section, source: int) -> SourceText | None:
        if (number, source) not in self._texts:
            content = section.contents[source] if source < len(section.contents) else None
            self._texts[number, source] = SourceText(content.encode("utf-8", "replace")) if isinstance(content, str) else None
        return self._texts[number, source]

    def sources_without_content(self) -> list[str]:
        return [
            name or ""
            for number, section in enumerate(self._sections)
            for source, name in enumerate(section.sources)
            if self._text(number, section, source) is None
        ]


class SourcemapEngine:
    """An engine in Python. It finds positions, and names of functions only if it gets `names`, which reads the original text."""

    name = "sourcemap"

    def __init__(self, names: OriginalNameReader | None = None) -> None:
        self._names = names

    def parse(self, minified: bytes, source_map: bytes) -> SourcemapMap:  # noqa: ARG002 -- scopes are not read
        """Parse a map. Raises MalformedMapError."""
        return SourcemapMap(source_map, self._names)


def _read_json(source_map: bytes) -> dict[str, Any]:
    found = orjson.loads(without_guard(source_map))
    if not isinstance(found, dict):
        raise TypeError("not an object")
    return found


def _sections(raw: dict[str, Any], line: int, column: int) -> Iterator[_Section]:
    if "sections" not in raw:
        yield _section(raw, line, column)
        return
    for section in raw["sections"]:
        offset = section["offset"]
        # As in symbolic, the columns of a nested map are shifted only on the line on which it begins.
        below = offset["line"] > 0
        yield from _sections(section["map"], line + offset["line"], offset["column"] + (0 if below else column))


def _section(raw: dict[str, Any], line: int, column: int) -> _Section:
    sources = raw.get("sources") or []
    names = [_as_text(name) for name in raw.get("names") or []]
    plain = {"sources": [str(number) for number in range(len(sources))], "names": names, "mappings": raw.get("mappings") or ""}
    index = sourcemap.loads(orjson.dumps(plain).decode())
    root = raw.get("sourceRoot")
    rooted = [_rooted(source, root) for source in sources]
    return _Section(line, column, index, rooted, raw.get("sourcesContent") or [])


def _as_text(name: object) -> str:
    """Return a name as symbolic reads it: numbers become text, other values an empty name."""
    return str(name) if isinstance(name, str | int | float) and not isinstance(name, bool) else ""


def _rooted(source: object, root: object) -> str | None:
    if not isinstance(source, str) or not source:
        return None
    return with_source_root(source, root if isinstance(root, str) else None)
