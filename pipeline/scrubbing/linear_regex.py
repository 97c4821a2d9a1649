r"""Linear regular expressions: the patterns of operators, matched by RE2 in time proportional to the length of the text.

Python's `re` backtracks when a match fails. With `(\d+)+x` it needs more than 20 seconds for 28 digits, and ten times as long for
three more. RE2 does not backtrack: the worst patterns that were tried take a second for a text of 16,000 characters, and usual
ones microseconds. It limits the size of a pattern, and has no look-around, back-references, atomic groups or possessive
quantifiers. Patterns with these are refused.

A pattern is written as for `re`, with these additions from the regular expressions of Sentry Relay: `\p{Greek}`, `\z`,
`[[:alpha:]]`, flags in the middle of a pattern. It has the same meaning as in `re`: `\d`, `\w`, `\s` and `\b` know the letters
and digits of all scripts, and `$` also matches before a line break at the end of the text. RE2 knows these classes for ASCII
only, so re2_syntax.py writes them out.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import re2

from pipeline.scrubbing.re2_syntax import MARK, MARKS, NOT_A_MARK, LinearRegexError, Translator

_BOUNDARY = re.compile(r"\b")


class Found(Protocol):
    """A match."""

    def span(self, group: int, /) -> tuple[int, int]:
        """Return where a group begins and ends, in characters, or (-1, -1) if it took no part. Group 0 is the whole match."""


class Regex(Protocol):
    """What scrubbing needs of a regular expression. `re.Pattern` and `LinearRegex` have it."""

    def search(self, text: str, /) -> Found | None:
        """Return the first match, or None."""

    def finditer(self, text: str, /) -> Iterator[Found]:
        """Return all matches, from left to right, none of which overlap."""


class LinearRegex:
    """A compiled pattern. Raises LinearRegexError."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        translator = Translator(pattern)
        self._regex = _compile(pattern, translator.run())
        self.groups: int = self._regex.groups
        self.required_text = max(translator.literals, key=len)
        """A text, in lower case, that every matching text contains. Empty if none is known."""
        self._marked_regex = self._without_boundaries = None
        if translator.has_boundary:
            # RE2 knows word boundaries for ASCII letters only. In other texts, marks are inserted at the boundaries. This takes
            # long, so the pattern without boundaries is tried first.
            self._marked_regex = _compile(pattern, Translator(pattern, in_marked=True).run())
            self._without_boundaries = _compile(pattern, Translator(pattern, drops_boundaries=True).run())

    def search(self, text: str) -> Found | None:
        """Return the first match, or None."""
        return next(self.finditer(text), None)

    def finditer(self, text: str) -> Iterator[Found]:
        """Return all matches, from left to right, none of which overlap."""
        if text.isascii():
            return iter(self._regex.finditer(text))
        text = text.encode("utf-8", "replace").decode() if _has_surrogate(text) else text
        if self._marked_regex is None or self._without_boundaries is None:
            return iter(self._regex.finditer(text))
        if self._without_boundaries.search(text) is None:
            return iter(())
        return self._finditer_marked(self._marked_regex, text)

    def _finditer_marked(self, regex: re2._Regexp, text: str) -> Iterator[Found]:
        boundaries = [match.start() for match in _BOUNDARY.finditer(text)]
        marked = _BOUNDARY.sub(MARK * MARKS, text.replace(MARK, NOT_A_MARK))
        starts = [boundary + number * MARKS for number, boundary in enumerate(boundaries)]

        def original(offset: int) -> int:
            before = bisect_left(starts, offset)
            if before and offset < starts[before - 1] + MARKS:
                return boundaries[before - 1]
            return offset - before * MARKS if offset >= 0 else offset

        for match in regex.finditer(marked):
            yield _Spans(tuple((original(start), original(end)) for start, end in map(match.span, range(self.groups + 1))))


class _Spans(NamedTuple):
    spans: tuple[tuple[int, int], ...]

    def span(self, group: int) -> tuple[int, int]:
        return self.spans[group]


def _has_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _compile(pattern: str, translated: str) -> re2._Regexp:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(translated, options)
    except (re2.error, UnicodeEncodeError) as error:
        reason = error.args[0].decode(errors="replace") if error.args and isinstance(error.args[0], bytes) else str(error)
        raise LinearRegexError(f"`{pattern}`: {reason}") from None
