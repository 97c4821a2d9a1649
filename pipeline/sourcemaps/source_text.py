"""A built or original file: its digest, its lines, and the few trimmed lines around a position.

See docs/spec/source-maps.md, "What the frame says".
"""

from __future__ import annotations

import re
from array import array
from functools import lru_cache
from hashlib import sha256
from itertools import accumulate, islice
from typing import NamedTuple

CONTEXT_LINES = 5
_MAX_LINES = 1_000_000
"""Lines past this one have no context. An index of all newlines of a hostile file would take more memory than the file."""
_MAX_CONTEXTS = 2_000
"""How many contexts are cached for each file. Floods of events repeat frames."""
_CONTEXT_COST_BYTES = 1_500
_LINE_END = re.compile(rb"\r\n?|\n")
_LINE_END_BYTES = b"\r\n"
_TRIM_ABOVE, _WINDOW, _BEFORE_COLUMN, _EDGE = 150, 140, 60, 5


class SourceContext(NamedTuple):
    """The lines around a position, trimmed, without their line ends."""

    before: tuple[str, ...]
    line: str
    after: tuple[str, ...]


class SourceText:
    """The bytes of a file. The digest and the index of lines are computed when they are first needed."""

    __slots__ = ("_digest", "_fixed_cost_bytes", "_lines", "content", "context")

    def __init__(self, content: bytes) -> None:
        self.content = content
        self._lines = _Lines(content)
        self._digest: bytes | None = None
        self._fixed_cost_bytes: int | None = None
        # `_Lines` does not refer to this object, so that the text of a file is freed without the garbage collector.
        self.context = lru_cache(_MAX_CONTEXTS)(self._lines.context)
        """`context(line, column)` returns the lines around `line` (from 1), trimmed around `column`; None outside the file."""

    @property
    def digest(self) -> bytes:
        """The SHA-256 of the content."""
        if self._digest is None:
            self._digest = sha256(self.content).digest()
        return self._digest

    @property
    def cost_bytes(self) -> int:
        """The memory that the text takes now, in bytes, with its index and the contexts that are remembered."""
        if self._fixed_cost_bytes is None:
            self._fixed_cost_bytes = len(self.content) + 8 * min(self._lines.count_line_ends(), _MAX_LINES) + 1_024
        return self._fixed_cost_bytes + self.context.cache_info().currsize * _CONTEXT_COST_BYTES

    @property
    def line_count(self) -> int:
        """The number of lines, at most 1,000,000."""
        return self._lines.count


class _Lines:
    """The lines of a file, found by their number."""

    __slots__ = ("_content", "_starts")

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._starts: array[int] | None = None

    @property
    def count(self) -> int:
        return min(len(self._index()), _MAX_LINES)

    def context(self, line: int, column: int) -> SourceContext | None:
        count = self.count
        if not 0 < line <= count:
            return None
        return SourceContext(
            tuple(self._line(number, 0) for number in range(max(1, line - CONTEXT_LINES), line)),
            self._line(line, column),
            tuple(self._line(number, 0) for number in range(line + 1, min(line + CONTEXT_LINES, count) + 1)),
        )

    def _line(self, number: int, column: int) -> str:
        starts, content = self._index(), self._content
        start = starts[number - 1]
        end = starts[number] if number < len(starts) else len(content)
        while end > start and content[end - 1] in _LINE_END_BYTES:
            end -= 1
        return _trim(content, start, end, column)

    def _index(self) -> array[int]:
        """Return the offset at which each line starts."""
        if self._starts is None:
            if self.count_line_ends() <= _MAX_LINES:
                starts = array("Q", accumulate(map(len, self._content.splitlines(keepends=True)), initial=0))
            else:
                ends = (match.end() for match in islice(_LINE_END.finditer(self._content), _MAX_LINES))
                starts = array("Q", (0, *ends))
            if starts[-1] == len(self._content):  # a line break at the end of the file starts no further line
                starts.pop()
            self._starts = starts
        return self._starts

    def count_line_ends(self) -> int:
        return self._content.count(b"\n") + self._content.count(b"\r")


def trim_line(line: str, column: int) -> str:
    """Return a line of at most 150 bytes as it is, and a longer one cut to 140 bytes around `column`.

    `{snip}` marks each end at which something was cut.
    """
    if len(line) * 4 <= _TRIM_ABOVE:
        return line
    text = line.encode("utf-8", "replace")
    return line if len(text) <= _TRIM_ABOVE else _trim(text, 0, len(text), column)


def _trim(text: bytes, start: int, end: int, column: int) -> str:
    """Trim the line between two offsets. Only the window is decoded, because a built file may be one line of megabytes."""
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
    """Return the offset, at most three bytes back, at which a UTF-8 character begins; `index` itself if there is none."""
    for at in range(index, max(index - 4, start), -1):
        if at >= len(text) or text[at] & 0xC0 != 0x80:
            return at
    return index
