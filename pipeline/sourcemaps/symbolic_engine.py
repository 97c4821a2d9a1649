"""The engine on `symbolic`: positions and scope names from `SourceMapCache`, and `SourceMapView` where that drops a token.

The library's traps, by their numbers in spec/javascript.md section 2, are dealt with here, but for 7 (files that kill the
parser), which `probe.py` keeps away.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Callable
from concurrent.futures import Future

from symbolic import SourceMapCache, SourceMapTokenMatch, SourceMapView, SymbolicError

from pipeline.sourcemaps.engine import MalformedMapError, Position
from pipeline.sourcemaps.function_names import ANONYMOUS, UNKNOWN
from pipeline.sourcemaps.position_memory import PositionMemory
from pipeline.sourcemaps.probe import STACK_BYTES
from pipeline.sourcemaps.source_text import CONTEXT_LINES, Context, SourceText, trim_line

_MAX_SOURCE_POSITION = 2**31
"""Larger ones are negative: wrapped, or the mark of a segment without a source."""

_PER_MAP_BYTE, _PER_TOKEN = 5, 32
"""What cache and view take in bytes: up to 21 MB for a map of 4.2 MB. One of nothing but `A,` is 16 times its text."""


class SymbolicMap:
    """A parsed map and the scopes of its minified file."""

    def __init__(self, minified: bytes, source_map: bytes) -> None:
        try:
            self._cache = SourceMapCache.from_bytes(minified, source_map)
            self._view = SourceMapView.from_json_bytes(source_map)
        except SymbolicError as error:
            raise MalformedMapError(str(error)) from None
        self._parsed_bytes = max(_PER_MAP_BYTE * len(source_map), len(source_map) + _PER_TOKEN * len(self._view)) + 4096
        self._sources: dict[int, SourceText | None] = {}
        self._positions = PositionMemory()

    @property
    def cost_bytes(self) -> int:
        """The cache and the view, and the positions that are remembered."""
        return self._parsed_bytes + self._positions.cost_bytes

    def locate(self, line: int, column: int) -> Position | None:
        """Find the token at or left of a place, on the same line."""
        return self._positions.look_up(line, column, self._locate)

    def _locate(self, line: int, column: int) -> Position | None:
        """Look where the view has a token, then let the cache add scope and context.

        The cache alone would do for most maps, at 10 µs less. But its look-up counts through four billion lines, for seconds,
        where a hostile map has led it to line -1, and it gives nothing for a token that equals the one before (trap 4).
        """
        token = self._last_token(line - 1, column - 1)
        if token is None or token.dst_line != line - 1:  # trap 3: the view crosses lines
            return None
        if token.src_id is None or max(token.src_line, token.src_col) > _MAX_SOURCE_POSITION:  # a segment that maps to nothing
            return None
        found = self._cache.lookup(line, column, CONTEXT_LINES)  # column >= 1: trap 1
        if found is None:
            return self._position_of_dropped(token)
        context = None
        if found.context_line is not None or found.pre_context:  # a last line that is empty is None, too
            after = [_without_line_end(text) for text in found.post_context]
            if found.post_context and not found.post_context[-1]:  # trap 2: the file ends with a line end
                after.pop()
            context = Context(
                tuple(trim_line(_without_line_end(text), 0) for text in found.pre_context),
                trim_line(_without_line_end(found.context_line or ""), found.col),
                tuple(trim_line(text, 0) for text in after),
            )
        return Position(found.line, found.col, found.src or None, found.name or None, _scope(found.function_name), context)

    def _last_token(self, line: int, column: int) -> SourceMapTokenMatch | None:
        """Find the last token at or left of a place, as the cache does. Of several at one place the view gives the first.

        Looked up from a place further right, it gives the last, but where a token stands right there.
        """
        token = self._view.lookup(line, column + 1)
        if token is None or _place(token) <= (line, column):
            return token
        behind = bisect_right(self._view, (line, column), key=_place)
        return self._view[behind - 1] if behind else None

    def _position_of_dropped(self, token: SourceMapTokenMatch) -> Position:
        number = token.src_id
        if number not in self._sources:
            content = self._view.get_source_contents(number)
            self._sources[number] = None if content is None else SourceText(content.encode("utf-8", "replace"))
        source = self._sources[number]
        line, column = token.src_line + 1, token.src_col + 1
        context = source.context(line, column) if source is not None else None
        return Position(line, column, token.src or None, token.name or None, None, context)

    def sources_without_content(self) -> list[str]:
        """Name the sources whose text the map does not carry."""
        return [name or "" for number, name in self._view.iter_sources() if self._view.get_source_contents(number) is None]


_STACK_BYTES = 2 * STACK_BYTES


def on_large_stack(parse: Callable[[], SymbolicMap]) -> SymbolicMap:
    """Run a parse in a thread with room for what the probe let pass, whatever stack the caller has."""
    done: Future[SymbolicMap] = Future()

    def run() -> None:
        try:
            done.set_result(parse())
        except BaseException as error:  # noqa: BLE001 -- the caller's to handle
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
    """Positions and scope names."""

    name = "symbolic"

    def parse(self, minified: bytes, source_map: bytes) -> SymbolicMap:
        """Parse a map together with the file that it is for. Raises MalformedMapError. Kills the process on hostile input."""
        return on_large_stack(lambda: SymbolicMap(minified, source_map))


def _place(token: SourceMapTokenMatch) -> tuple[int, int]:
    return token.dst_line, token.dst_col


def _scope(name: str | None) -> str | None:
    if not name or name == UNKNOWN:
        return None
    return "" if name == ANONYMOUS else name


def _without_line_end(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r")
