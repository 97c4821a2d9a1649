"""Replace what varies in a message (ids, dates, numbers) by its kind, so that messages that say the same are the same.

What is replaced is a dated set of named patterns (spec/grouping.md, section 4.6); a released set never changes, since
every change regroups events. Cost: linear in the text, at most `MAX_CHARS` of it; a hostile megabyte takes under 30 ms.
"""

from __future__ import annotations

from itertools import islice

from pipeline.grouping.parameterization import patterns_2023, patterns_2026
from pipeline.grouping.parameterization.replace import Replacer

MAX_CHARS = 8_392
"""More of a message is not looked at: what normalization leaves of the longest message, 8,192 characters and 200 of grace."""

REPLACERS = {
    "2023-01-11": Replacer(patterns_2023.PATTERNS, patterns_2023.START),
    "2026-11-22": Replacer(patterns_2026.PATTERNS, patterns_2026.START),
}
"""Sentry's set of its grouping configuration of that date, and ours, which knows more kinds and guards its edges better."""


def parameterize(text: str, version: str = "2023-01-11") -> str:
    """Replace every value of a known kind by `<kind>`, and cut the text at `MAX_CHARS`. Raises KeyError on an unknown version."""
    return REPLACERS[version](text[:MAX_CHARS])


def normalize_message(text: str, version: str = "2023-01-11") -> str:
    """Give a message as grouping compares it: shortened and parameterized."""
    return REPLACERS[version](shorten(text))


def shorten(text: str) -> str:
    """Give a message's first two lines that are not blank.

    "..." follows where that left anything out, be it only a newline at the end.
    """
    lines = (line for line in text[:MAX_CHARS].splitlines() if line.strip())
    shortened = "\n".join(islice(lines, 2))
    return shortened if shortened == text else shortened + "..."
