"""The engine that uses `symbolic`: `SourceMapCache` for positions and names of scopes, `SourceMapView` for dropped tokens.

The library's traps (docs/spec/source-maps.md, "Traps of the libraries") are handled here, each with a comment, except for one:
some files kill the parser. `probe.py` keeps those away.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Callable
from concurrent.futures import Future
from functools import lru_cache

from symbolic import SourceMapCache, SourceMapTokenMatch, SourceMapView, SymbolicError

from pipeline.sourcemaps.engines.contract import (
    MAX_COORDINATE,
    MAX_POSITIONS,
    POSITION_COST_BYTES,
    MalformedMapError,
    SourcePosition,
)
from pipeline.sourcemaps.engines.ignore_list import find_ignored_sources
from pipeline.sourcemaps.engines.names_of_sources import NamesOfSources, OriginalNameReader
from pipeline.sourcemaps.engines.probe import STACK_BYTES
from pipeline.sourcemaps.function_names import ANONYMOUS, UNKNOWN
from pipeline.sourcemaps.source_text import CONTEXT_LINES, SourceContext, SourceText, trim_line

_MAX_SOURCE_COORDINATE = 2**31
"""Larger coordinates are negative ones that wrapped around, or mark a segment without a source."""

_PER_MAP_BYTE, _PER_TOKEN = 5, 32
"""Memory of cache and view in bytes: up to 21 MB for a map of 4.2 MB. A map that consists of `A,` takes 16 times its text."""


class SymbolicMap:
    """A parsed map and the scopes of its built file."""

    def __init__(self, minified: bytes, source_map: bytes, names: OriginalNameReader | None = None) -> None:
        try:
            cache, view = SourceMapCache.from_bytes(minified, source_map), SourceMapView.from_json_bytes(source_map)
            self._tokens = _Tokens(cache, view, names)
        except SymbolicError as error:
            raise MalformedMapError(str(error)) from None
        self.ignored_sources = find_ignored_sources(source_map)
        token_bytes = len(source_map) + _PER_TOKEN * self._tokens.count
        self._parsed_bytes = max(_PER_MAP_BYTE * len(source_map), token_bytes) + 4096
        # `_Tokens` does not refer to this object, so that a map is freed without the garbage collector.
        self._locate = lru_cache(MAX_POSITIONS)(self._tokens.locate)

    @property
    def cost_bytes(self) -> int:
        """Memory of the cache and the view, the cached positions and the names of original files, in bytes."""
        return self._parsed_bytes + self._tokens.names_cost_bytes + self._locate.cache_info().currsize * POSITION_COST_BYTES

    def locate(self, line: int, column: int) -> SourcePosition | None:
        """Return the token at or left of a position on the same line, or None."""
        return self._locate(line, column)

    def sources_without_content(self) -> list[str]:
        """Return the names of the sources whose text the map does not carry."""
        return self._tokens.sources_without_content()


class _Tokens:
    """Finds tokens of a map in the library's two objects."""

    def __init__(self, cache: SourceMapCache, view: SourceMapView, names: OriginalNameReader | None) -> None:
        self._cache = cache
        self._view = view
        self._sources: dict[int, SourceText | None] = {}
        self._names = NamesOfSources(names) if names is not None else None

    @property
    def count(self) -> int:
        return len(self._view)

    @property
    def names_cost_bytes(self) -> int:
        return self._names.cost_bytes if self._names is not None else 0

    def locate(self, line: int, column: int) -> SourcePosition | None:
        """Find the token in the view, then let the cache add scope and context.

        The cache alone would suffice for most maps, and save 10 µs. But a hostile map can lead it to line -1, where it counts
        through four billion lines for seconds. It also returns nothing for a token that equals the one before.
        """
        if not 1 <= line <= MAX_COORDINATE or column > MAX_COORDINATE:
            return None
        column = max(column, 1)  # with column 0, the cache returns the last token of the line
        token = self._last_token(line - 1, column - 1)
        if token is None or token.dst_line != line - 1:  # the view also looks on earlier lines
            return None
        # A segment that maps to nothing has no source.
        if token.src_id is None or max(token.src_line, token.src_col) > _MAX_SOURCE_COORDINATE:
            return None
        found = self._cache.lookup(line, column, CONTEXT_LINES)
        if found is None:
            return self._with_original_name(self._position_of_dropped(token), token).with_bounded_names()
        context = None
        if found.context_line is not None or found.pre_context:  # the context line of an empty last line is None too
            after = [_without_line_end(text) for text in found.post_context]
            if found.post_context and not found.post_context[-1]:  # the file ends with a line break
                after.pop()
            context = SourceContext(
                tuple(trim_line(_without_line_end(text), 0) for text in found.pre_context),
                trim_line(_without_line_end(found.context_line or ""), found.col),
                tuple(trim_line(text, 0) for text in after),
            )
        scope = _scope(found.function_name)
        position = SourcePosition(found.line, found.col, found.src or None, found.name or None, scope, context)
        return self._with_original_name(position, token).with_bounded_names()

    def _with_original_name(self, position: SourcePosition, token: SourceMapTokenMatch) -> SourcePosition:
        """Return the position with the name that its function has in the original text, if that is wanted and known."""
        if self._names is None:
            return position
        number = token.src_id
        scope = self._names.find(number, position, lambda: _encoded(self._view.get_source_contents(number)))
        return position if scope is None else position._replace(scope=scope)

    def _last_token(self, line: int, column: int) -> SourceMapTokenMatch | None:
        """Return the last token at or left of a position (from 0), as the cache would.

        Of several tokens at one position, the view returns the first. Asked for one column further right, it returns the last,
        unless a token stands right there.
        """
        token = self._view.lookup(line, column + 1)
        if token is None or _built_position(token) <= (line, column):
            return token
        behind = bisect_right(self._view, (line, column), key=_built_position)
        return self._view[behind - 1] if behind else None

    def _position_of_dropped(self, token: SourceMapTokenMatch) -> SourcePosition:
        number = token.src_id
        if number not in self._sources:
            content = _encoded(self._view.get_source_contents(number))
            self._sources[number] = None if content is None else SourceText(content)
        source = self._sources[number]
        line, column = token.src_line + 1, token.src_col + 1
        context = source.context(line, column) if source is not None else None
        return SourcePosition(line, column, token.src or None, token.name or None, None, context)

    def sources_without_content(self) -> list[str]:
        return [name or "" for number, name in self._view.iter_sources() if self._view.get_source_contents(number) is None]


_STACK_BYTES = 2 * STACK_BYTES


def on_large_stack(parse: Callable[[], SymbolicMap]) -> SymbolicMap:
    """Run `parse` in a thread with a stack that is large enough for every file that passed the probe.

    Raises what `parse` raises.
    """
    done: Future[SymbolicMap] = Future()

    def run() -> None:
        try:
            done.set_result(parse())
        except BaseException as error:  # noqa: BLE001 -- raised again in the caller's thread
            done.set_exception(error)

    previous = threading.stack_size(_STACK_BYTES)
    try:
        thread = threading.Thread(target=run)
        thread.start()
    finally:
        threading.stack_size(previous)
    thread.join()
    return done.result()


class SymbolicEngine:
    """An engine that finds positions and names of scopes. With `names`, names from the original text come first."""

    name = "symbolic"

    def __init__(self, names: OriginalNameReader | None = None) -> None:
        self._names = names

    def parse(self, minified: bytes, source_map: bytes) -> SymbolicMap:
        """Parse a map together with its built file. Raises MalformedMapError.

        A hostile file can kill the process, so unknown files must pass the probe first.
        """
        return on_large_stack(lambda: SymbolicMap(minified, source_map, self._names))


def _encoded(text: str | None) -> bytes | None:
    return None if text is None else text.encode("utf-8", "replace")


def _built_position(token: SourceMapTokenMatch) -> tuple[int, int]:
    return token.dst_line, token.dst_col


def _scope(name: str | None) -> str | None:
    if not name or name == UNKNOWN:
        return None
    return "" if name == ANONYMOUS else name


def _without_line_end(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r")
