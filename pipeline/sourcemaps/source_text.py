"""A built or original file: its digest, its lines, and the few around a position, trimmed (spec, section 1)."""

from __future__ import annotations

import re
from array import array
from hashlib import sha256
from itertools import accumulate, islice
from typing import NamedTuple

CONTEXT_LINES = 5
_MAX_LINES = 1_000_000
"""Lines past this one have no context: an index of all newlines of a hostile file would take more memory than the file."""
_MAX_CONTEXTS = 2_000
"""Remembered per file: floods of events repeat their frames."""
CONTEXT_COST_BYTES = 1_500
_LINE_END = re.compile(rb"\r\n?|\n")
_LINE_END_BYTES = b"\r\n"
_TRIM_ABOVE, _WINDOW, _BEFORE_COLUMN, _EDGE = 150, 140, 60, 5


class Context(NamedTuple):
    """The lines around a position, trimmed, without their line ends."""

    before: tuple[str, ...]
    line: str
    after: tuple[str, ...]


class SourceText:
    """A file's bytes with their digest and an index of their lines, both made when they are first asked for."""

    __slots__ = ("_contexts", "_digest", "_fixed_cost_bytes", "_starts", "content")

    def __init__(self, content: bytes) -> None:
        self.content = content
        self._digest: bytes | None = None
        self._starts: array[int] | None = None
        self._contexts: dict[tuple[int, int], Context | None] = {}
        self._fixed_cost_bytes: int | None = None

    @property
    def digest(self) -> bytes:
        """The SHA-256 of the content."""
        if self._digest is None:
            self._digest = sha256(self.content).digest()
        return self._digest

    @property
    def cost_bytes(self) -> int:
        """What it takes in memory, with the index and the contexts that are remembered."""
        if self._fixed_cost_bytes is None:
            self._fixed_cost_bytes = len(self.content) + 8 * min(self._count_line_ends(), _MAX_LINES) + 1_024
        return self._fixed_cost_bytes + len(self._contexts) * CONTEXT_COST_BYTES

    @property
    def line_count(self) -> int:
        """How many lines it has, up to the bound of the index."""
        return min(len(self._index()), _MAX_LINES)

    def context(self, line: int, column: int) -> Context | None:
        """Give the lines around `line` (from 1); the line itself is trimmed around `column`. None outside the file."""
        try:
            return self._contexts[line, column]
        except KeyError:
            if len(self._contexts) >= _MAX_CONTEXTS:
                self._contexts.clear()
            context = self._contexts[line, column] = self._context(line, column)
            return context

    def _context(self, line: int, column: int) -> Context | None:
        count = self.line_count
        if not 0 < line <= count:
            return None
        return Context(
            tuple(self._line(number, 0) for number in range(max(1, line - CONTEXT_LINES), line)),
            self._line(line, column),
            tuple(self._line(number, 0) for number in range(line + 1, min(line + CONTEXT_LINES, count) + 1)),
        )

    def _line(self, number: int, column: int) -> str:
        starts, content = self._index(), self.content
        start = starts[number - 1]
        end = starts[number] if number < len(starts) else len(content)
        while end > start and content[end - 1] in _LINE_END_BYTES:
            end -= 1
        return _trim(content, start, end, column)

    def _index(self) -> array[int]:
        """Give where each line starts."""
        if self._starts is None:
            if self._count_line_ends() <= _MAX_LINES:
                starts = array("Q", accumulate(map(len, self.content.splitlines(keepends=True)), initial=0))
            else:
                ends = (match.end() for match in islice(_LINE_END.finditer(self.content), _MAX_LINES))
                starts = array("Q", (0, *ends))
            if starts[-1] == len(self.content):  # a line end ends a line, it does not begin another
                starts.pop()
            self._starts = starts
        return self._starts

    def _count_line_ends(self) -> int:
        return self.content.count(b"\n") + self.content.count(b"\r")


def trim_line(line: str, column: int) -> str:
    """Cut a line of more than 150 bytes to a window of 140 around `column`, `{snip}` where something was cut."""
    if len(line) * 4 <= _TRIM_ABOVE:
        return line
    text = line.encode("utf-8", "replace")
    return line if len(text) <= _TRIM_ABOVE else _trim(text, 0, len(text), column)


def _trim(text: bytes, start: int, end: int, column: int) -> str:
    """Trim the line between two offsets. A built file may be one line of megabytes: only the window is decoded."""
    length = end - start
    if length <= _TRIM_ABOVE:
        return text[start:end].decode("utf-8", "replace")
    first = max(min(column, length) - _BEFORE_COLUMN, 0)
    if first < _EDGE:
        first = 0
    last = min(first + _WINDOW, length)
    if last > length - _EDGE:
        last = length
    if last == length:
        first = max(last - _WINDOW, 0)
    first, last = _char_boundary(text, start, start + first), _char_boundary(text, start, start + last)
    before, after = "{snip} " if first > start else "", " {snip}" if last < end else ""
    return f"{before}{text[first:last].decode('utf-8', 'replace')}{after}"


def _char_boundary(text: bytes, start: int, index: int) -> int:
    """Go back to where a character begins: at most three bytes in UTF-8, whatever else the bytes are."""
    for at in range(index, max(index - 4, start), -1):
        if at >= len(text) or text[at] & 0xC0 != 0x80:
            return at
    return index
