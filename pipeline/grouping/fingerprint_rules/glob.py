"""Globs of fingerprint rules: `*`, `?`, `[ab]`, `{x,y}`, and for paths `**`. Most values never reach the engine."""

from __future__ import annotations

import re

from sentry_ophio.glob import is_glob_match

MAX_VALUE_CHARS = 8_392
"""More of a value is not looked at."""

_SPECIAL = re.compile(r"\\.|\[[!^]?\]?.*?\]|\{.*\}|[*?\[\]{}\\]", re.DOTALL)
"""What is no literal text: escapes, classes, alternatives (from the first brace to the last, as they nest), wildcards."""


class Glob:
    """A compiled glob. `is_path`: case and the kind of slash do not matter, `*` stops at a slash and `**` does not."""

    __slots__ = ("_folds", "_is_path", "_pattern", "chunk", "is_literal")

    def __init__(self, pattern: str, *, ignore_case: bool = False, is_path: bool = False) -> None:
        self._pattern = pattern
        self._is_path = is_path
        self._folds = ignore_case or is_path
        pieces = _SPECIAL.split(self.fold(pattern))
        # `**/x` also matches `x`: a slash beside a wildcard may be missing.
        self.chunk = max((piece.strip("/") for piece in pieces), key=len)
        """A text that every value has that matches."""
        if not self.chunk.isascii():  # the engine has its own idea of other letters' lower case
            self.chunk = ""
        self.is_literal = len(pieces) == 1 and bool(self.chunk)
        """The pattern has no wildcard."""

    def fold(self, value: str) -> str:
        """Give a value, or its beginning, as `accepts` wants it: without the differences that do not matter."""
        value = value[:MAX_VALUE_CHARS]
        if self._is_path:
            value = value.replace("\\", "/")
        return value.lower() if self._folds else value

    def accepts(self, folded: str) -> bool:
        """Match a whole value; a path without a leading slash is tried with one as well."""
        if self.chunk not in folded:
            return False
        return self._matches(folded) or (self._is_path and not folded.startswith("/") and self._matches(f"/{folded}"))

    def _matches(self, value: str) -> bool:
        value = value if value.isascii() else value.encode("utf-8", "replace").decode()
        return bool(is_glob_match(value, self._pattern, self._is_path, self._folds, self._is_path, allow_newline=True))
