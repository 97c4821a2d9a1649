"""Messages as grouping compares them: shortened to two lines, with values of known kinds replaced.

The cost is linear in the length of the text, of which at most `MAX_CHARS` are read; a hostile megabyte takes under 30 ms. All
messages of one event together are limited too: an event of 1 MB takes at most 100 ms. See docs/spec/grouping.md, "Messages".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property, lru_cache
from itertools import accumulate, islice

from pipeline.grouping.parameterization import patterns_2023, patterns_2026, patterns_2026_12
from pipeline.grouping.parameterization.replace import Replacer
from pipeline.grouping.parameterization.tokens import KINDS, TokenReplacer
from pipeline.model.event import Event, exceptions

MAX_CHARS = 8_392
"""The rest of a longer message is ignored. Normalization leaves at most that much: 8,192 characters and 200 of grace."""

MAX_EVENT_CHARS = 65_536
"""How much of all exceptions' values is parameterized: eight of the longest, or a group of 650 failures of 100 characters.

A text of only numbers costs some 1 µs a character, plain words a tenth of that.
"""

_PATTERNS = {
    "2023-01-11": (patterns_2023.PATTERNS, patterns_2023.START),
    "2026-11-22": (patterns_2026.PATTERNS, patterns_2026.START),
    "2026-12-01": (patterns_2026_12.PATTERNS, patterns_2026_12.START),
}
"""The sets by date: Sentry's of `newstyle:2023-01-11`, and the project's own, which have more kinds and stricter boundaries."""

VERSIONS = tuple(_PATTERNS)

_WITH_TOKENS = frozenset({"2026-12-01"})
_NUMBER_IN_A_WORD = re.compile(r"(?<=[A-Za-z_])\d{6,}+(?![.]\d)")


@lru_cache(64)
def parameterizer(version: str, kept: frozenset[str] = frozenset()) -> Callable[[str], str]:
    """Return a function that replaces every value of a known kind, but for the kinds in `kept`. Raises KeyError for a version."""
    if version not in _WITH_TOKENS:
        return Replacer(*_PATTERNS[version], kept)
    replace = Replacer(*_PATTERNS[version], kept | patterns_2026_12.ALWAYS_KEPT)
    replace_tokens = TokenReplacer(kept)
    if "int" in kept:
        return lambda text: replace(replace_tokens(text))
    return lambda text: _NUMBER_IN_A_WORD.sub("<int>", replace(replace_tokens(text)))


def kinds_of(version: str) -> list[str]:
    """Return the kinds of values that a set replaces, and that `grouping.toml` can name to keep them."""
    tokens = KINDS if version in _WITH_TOKENS else ()
    return sorted({"email", *_PATTERNS[version][0], *tokens})


def parameterize(text: str, version: str = "2023-01-11", kept: frozenset[str] = frozenset()) -> str:
    """Replace every value of a known kind by `<kind>`, and cut the text at `MAX_CHARS`. Raises KeyError for an unknown version.

    >>> parameterize("user 42 gone")
    'user <int> gone'
    """
    return parameterizer(version, kept)(text[:MAX_CHARS])


def normalize_message(text: str, version: str = "2023-01-11", kept: frozenset[str] = frozenset()) -> str:
    """Return a message as grouping compares it: shortened and parameterized."""
    return parameterizer(version, kept)(shorten(text))


def shorten(text: str) -> str:
    """Return the first two lines of a message that are not blank.

    "..." follows if that left anything out, even a line break at the end.
    """
    lines = (line for line in text[:MAX_CHARS].splitlines() if line.strip())
    shortened = "\n".join(islice(lines, 2))
    return shortened if shortened == text else shortened + "..."


class EventMessages:
    """Normalizes an event's messages with one set of patterns, named by its date. The kinds in `kept` stay as they are.

    The distinct values of exceptions are counted in the event's order, each up to `MAX_CHARS`. From the first one that exceeds
    `MAX_EVENT_CHARS` in total they are only shortened, not parameterized. This depends on the event alone, not on which values
    grouping asks for, so `group` and `explain` agree.
    """

    def __init__(self, event: Event, version: str, kept: frozenset[str] = frozenset()) -> None:
        self._event = event
        self._version = version
        self._kept = kept
        self._normalized: dict[str, str] = {}

    def normalize(self, text: str) -> str:
        """Return a message as grouping compares it."""
        found = self._normalized.get(text)
        if found is None:
            found = shorten(text) if text in self._beyond else normalize_message(text, self._version, self._kept)
            self._normalized[text] = found
        return found

    @cached_property
    def _beyond(self) -> set[str]:
        """The values that exceed `MAX_EVENT_CHARS`."""
        values = dict.fromkeys(exception.get("value") or "" for exception in exceptions(self._event))
        totals = accumulate(min(len(value), MAX_CHARS) for value in values)
        return {value for value, total in zip(values, totals, strict=True) if total > MAX_EVENT_CHARS}
