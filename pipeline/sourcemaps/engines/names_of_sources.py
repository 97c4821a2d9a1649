"""The names of functions in the original files of one map. Each file is parsed when it is first needed."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Protocol

from pipeline.sourcemaps.engines.contract import SourcePosition


class OriginalNames(Protocol):
    """The functions of one original file."""

    @property
    def cost_bytes(self) -> int:
        """The memory that the names take, in bytes."""

    def find(self, line: int, column: int) -> str | None:
        """Return the name of the innermost function around a position: empty for an anonymous one, None outside of functions."""


class OriginalNameReader(Protocol):
    """Reads the names of functions in an original file."""

    def read(self, name: str, text: bytes) -> OriginalNames | None:
        """Return the functions of a file, or None if they cannot be read."""


class NamesOfSources:
    """Finds names of functions by the number of a source in its map."""

    def __init__(self, reader: OriginalNameReader) -> None:
        self._reader = reader
        self._names: dict[Hashable, OriginalNames | None] = {}
        self.cost_bytes = 0

    def find(self, number: Hashable, position: SourcePosition, content: Callable[[], bytes | None]) -> str | None:
        """Return the name of the function around a position in the original text, or None. `content` returns that text."""
        if number not in self._names:
            text = content()
            names = self._reader.read(position.source or "", text) if text is not None else None
            self._names[number] = names
            self.cost_bytes += names.cost_bytes if names is not None else 100
        names = self._names[number]
        return names.find(position.line, position.column) if names is not None else None
