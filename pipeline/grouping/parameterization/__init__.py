"""Replaces ids, dates and numbers in messages by their kind, so that messages about the same problem are equal.

The patterns are dated sets. A released set never changes, because every change regroups events. The cost is linear in the
length of the text, of which at most `MAX_CHARS` are read; a hostile megabyte takes under 30 ms. See docs/spec/grouping.md,
"Messages".
"""

from __future__ import annotations

from itertools import islice

from pipeline.grouping.parameterization import patterns_2023, patterns_2026
from pipeline.grouping.parameterization.replace import Replacer

MAX_CHARS = 8_392
"""The rest of a longer message is ignored. Normalization leaves at most that much: 8,192 characters and 200 of grace."""

REPLACERS = {
    "2023-01-11": Replacer(patterns_2023.PATTERNS, patterns_2023.START),
    "2026-11-22": Replacer(patterns_2026.PATTERNS, patterns_2026.START),
}
"""The sets by date: Sentry's of `newstyle:2023-01-11`, and the project's own, which has more kinds and stricter boundaries."""


def parameterize(text: str, version: str = "2023-01-11") -> str:
    """Replace every value of a known kind by `<kind>`, and cut the text at `MAX_CHARS`. Raises KeyError for an unknown version.

    >>> parameterize("user 42 gone")
    'user <int> gone'
    """
    return REPLACERS[version](text[:MAX_CHARS])


def normalize_message(text: str, version: str = "2023-01-11") -> str:
    """Return a message as grouping compares it: shortened and parameterized."""
    return REPLACERS[version](shorten(text))


def shorten(text: str) -> str:
    """Return the first two lines of a message that are not blank.

    "..." follows if that left anything out, even a line break at the end.
    """
    lines = (line for line in text[:MAX_CHARS].splitlines() if line.strip())
    shortened = "\n".join(islice(lines, 2))
    return shortened if shortened == text else shortened + "..."
