"""The engine on `symbolic`: positions and scope names from `SourceMapCache`, and `SourceMapView` where that drops a token.

The library's traps, by their numbers in spec/javascript.md section 2, are dealt with here, but for 7 (files that kill the
parser), which `probe.py` keeps away.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future

from symbolic import SourceMapCache, SourceMapView, SymbolicError

from pipeline.sourcemaps.engine import MAX_POSITION, MalformedMapError, Position
from pipeline.sourcemaps.function_names import ANONYMOUS, UNKNOWN
from pipeline.sourcemaps.position_memory import PositionMemory
from pipeline.sourcemaps.probe import STACK_BYTES
from pipeline.sourcemaps.source_text import CONTEXT_LINES, Context, SourceText, trim_line


class SymbolicMap:
    """A parsed map and the scopes of its minified file."""

    def __init__(self, minified: bytes, source_map: bytes) -> None:
        try:
            self._cache = SourceMapCache.from_bytes(minified, source_map)
        except SymbolicError as error:
            raise MalformedMapError(str(error)) from None
        self._source_map = source_map
        self._view: SourceMapView | None = None
        self._sources: dict[int, SourceText | None] = {}
        self.locate = PositionMemory(self._locate)

    @property
    def cost_bytes(self) -> int:
        """The map's text, kept for the view; the mapped cache, about twice the text; the view where there is one."""
        return len(self._source_map) * (5 if self._view is not None else 3) + 4096

    def _locate(self, line: int, column: int) -> Position | None:
        token = self._cache.lookup(line, column, CONTEXT_LINES)  # column >= 1: trap 1
        if token is None:
            return self._locate_dropped(line, column)
        if max(token.line, token.col) > MAX_POSITION:  # a segment that maps to nothing
            return None
        context = None
        if token.context_line is not None:
            after = [_without_line_end(text) for text in token.post_context]
            if token.post_context and not token.post_context[-1]:  # trap 2: the file ends with a line end
                after.pop()
            context = Context(
                tuple(trim_line(_without_line_end(text), 0) for text in token.pre_context),
                trim_line(_without_line_end(token.context_line), token.col),
                tuple(trim_line(text, 0) for text in after),
            )
        return Position(token.line, token.col, token.src or None, token.name or None, _scope(token.function_name), context)

    def _locate_dropped(self, line: int, column: int) -> Position | None:
        """Ask the view for a token that the cache dropped because it equals the one before (trap 4)."""
        view = self._opened_view()
        token = view.lookup(line - 1, column - 1)
        if token is None or token.dst_line != line - 1:  # trap 3: the view crosses lines
            return None
        if token.src_id is None or max(token.src_line, token.src_col) >= MAX_POSITION:  # a segment that maps to nothing
            return None
        if token.src_id not in self._sources:
            content = view.get_source_contents(token.src_id)
            self._sources[token.src_id] = None if content is None else SourceText(content.encode("utf-8", "replace"))
        source = self._sources[token.src_id]
        context = source.context(token.src_line + 1, token.src_col + 1) if source is not None else None
        return Position(token.src_line + 1, token.src_col + 1, token.src or None, token.name or None, None, context)

    def sources_without_content(self) -> list[str]:
        """Name the sources whose text the map does not carry."""
        view = self._opened_view()
        return [name or "" for number, name in view.iter_sources() if view.get_source_contents(number) is None]

    def _opened_view(self) -> SourceMapView:
        if self._view is None:
            self._view = SourceMapView.from_json_bytes(self._source_map)
        return self._view


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


def _scope(name: str | None) -> str | None:
    if not name or name == UNKNOWN:
        return None
    return "" if name == ANONYMOUS else name


def _without_line_end(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r")
