"""Normalizes the messages of one event: each only once, and all of them within a limit of characters.

Budget: an event of 1 MB takes at most 100 ms, whatever its messages contain.
"""

from __future__ import annotations

from functools import cached_property
from itertools import accumulate

from pipeline.grouping.parameterization import MAX_CHARS, normalize_message, shorten
from pipeline.model.event import Event, exceptions

MAX_EVENT_CHARS = 65_536
"""How much of all exceptions' values is parameterized: eight of the longest, or a group of 650 failures of 100 characters.

A text of only numbers costs some 1 µs a character, plain words a tenth of that.
"""


class EventMessages:
    """Normalizes an event's messages with one set of patterns. `version` is a key of `REPLACERS`.

    The distinct values of exceptions are counted in the event's order, each up to `MAX_CHARS`. From the first one that exceeds
    `MAX_EVENT_CHARS` in total they are only shortened, not parameterized. This depends on the event alone, not on which values
    grouping asks for, so `group` and `explain` agree.
    """

    def __init__(self, event: Event, version: str) -> None:
        self._event = event
        self._version = version
        self._normalized: dict[str, str] = {}

    def normalize(self, text: str) -> str:
        """Return a message as grouping compares it."""
        found = self._normalized.get(text)
        if found is None:
            found = shorten(text) if text in self._beyond else normalize_message(text, self._version)
            self._normalized[text] = found
        return found

    @cached_property
    def _beyond(self) -> set[str]:
        """The values that exceed `MAX_EVENT_CHARS`."""
        values = dict.fromkeys(exception.get("value") or "" for exception in exceptions(self._event))
        totals = accumulate(min(len(value), MAX_CHARS) for value in values)
        return {value for value, total in zip(values, totals, strict=True) if total > MAX_EVENT_CHARS}
