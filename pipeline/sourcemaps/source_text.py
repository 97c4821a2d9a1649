"""A built or original file: its digest, its lines, and the few around a position, trimmed (spec, section 1)."""

from __future__ import annotations

import re
from array import array
from hashlib import sha256
from typing import NamedTuple

CONTEXT_LINES = 5
_MAX_LINES = 1_000_000
"""Lines past this one have no context: an index of all newlines of a hostile file would take more memory than the file."""
_NEWLINE = re.compile(rb"\r\n?|\n")
_TRIM_ABOVE, _WINDOW, _BEFORE_COLUMN, _EDGE = 150, 140, 60, 5


class Context(NamedTuple):
    """The lines around a position, trimmed, without their line ends."""

    before: tuple[str, ...]
    line: str
    after: tuple[str, ...]


class SourceText:
    """A file's bytes with their digest and an index of their lines."""

    __slots__ = ("_starts", "content", "digest")

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.digest = sha256(content).digest()
        self._starts: array[int] | None = None

    @property
    def cost_bytes(self) -> int:
        """What it takes in memory, with the index."""
        return len(self.content) + 8 * min(self.content.count(b"\n") + self.content.count(b"\r"), _MAX_LINES) + 1_024

    def context(self, line: int, column: int) -> Context | None:
        """Give the lines around `line` (from 1); the line itself is trimmed around `column`. None outside the file."""
        text = self._line(line)
        if text is None:
            return None
        before = [self._line(number) for number in range(max(1, line - CONTEXT_LINES), line)]
        after = [self._line(number) for number in range(line + 1, line + 1 + CONTEXT_LINES)]
        return Context(
            tuple(trim_line(other, 0) for other in before if other is not None),
            trim_line(text, column),
            tuple(trim_line(other, 0) for other in after if other is not None),
        )

    @property
    def line_count(self) -> int:
        """How many lines it has, up to the bound of the index."""
        return min(len(self._index()), _MAX_LINES)

    def _line(self, number: int) -> str | None:
        starts = self._index()
        if not 0 < number <= self.line_count:
            return None
        end = starts[number] if number < len(starts) else len(self.content)
        return self.content[starts[number - 1] : end].rstrip(b"\r\n").decode("utf-8", "replace")

    def _index(self) -> array[int]:
        if self._starts is None:
            starts = array("Q", [0])
            for match in _NEWLINE.finditer(self.content):
                starts.append(match.end())
                if len(starts) > _MAX_LINES:
                    break
            if starts[-1] == len(self.content):  # a line end ends a line, it does not begin another
                starts.pop()
            self._starts = starts
        return self._starts


def trim_line(line: str, column: int) -> str:
    """Cut a line of more than 150 bytes to a window of 140 around `column`, `{snip}` where something was cut."""
    if len(line) * 4 <= _TRIM_ABOVE:
        return line
    text = line.encode("utf-8", "replace")
    length = len(text)
    if length <= _TRIM_ABOVE:
        return line
    start = max(min(column, length) - _BEFORE_COLUMN, 0)
    if start < _EDGE:
        start = 0
    end = min(start + _WINDOW, length)
    if end > length - _EDGE:
        end = length
    if end == length:
        start = max(end - _WINDOW, 0)
    start, end = _char_boundary(text, start), _char_boundary(text, end)
    before, after = "{snip} " if start > 0 else "", " {snip}" if end < length else ""
    return f"{before}{text[start:end].decode('utf-8', 'replace')}{after}"


def _char_boundary(text: bytes, index: int) -> int:
    while index < len(text) and text[index] & 0xC0 == 0x80:
        index -= 1
    return index
