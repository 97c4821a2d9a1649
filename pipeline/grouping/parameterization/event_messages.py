"""Messages: the texts of one event as grouping compares them, each normalized once, and no more in all than its time allows.

Good: an event of 1 MB takes at most 100 ms, whatever its messages hold.
"""

from __future__ import annotations

from functools import cached_property
from itertools import accumulate
from typing import Any

from pipeline.grouping.parameterization import MAX_CHARS, normalize_message, shorten
from pipeline.grouping.strategies.context import interface_values, text_of

MAX_EVENT_CHARS = 65_536
"""What is parameterized of all exceptions' values: eight of the longest, or a group of 650 failures with 100 characters each.

Text that is nothing but numbers costs some 1 µs a character, plain words a tenth of it.
"""


class Messages:
    """Normalizes an event's messages under one set of patterns.

    Exceptions' values count in payload order, each distinct one once and up to `MAX_CHARS`. From the first that goes beyond
    `MAX_EVENT_CHARS` on they are shortened, and not parameterized. That follows from the event alone, never from which values
    grouping asks for, so that `group` and `explain` agree.
    """

    def __init__(self, event: dict[str, Any], version: str) -> None:
        self._event = event
        self._version = version
        self._normalized: dict[str, str] = {}

    def normalize(self, text: str) -> str:
        """Give a message as the patterns' configuration compares it."""
        found = self._normalized.get(text)
        if found is None:
            found = shorten(text) if text in self._beyond else normalize_message(text, self._version)
            self._normalized[text] = found
        return found

    @cached_property
    def _beyond(self) -> set[str]:
        """The values that go beyond `MAX_EVENT_CHARS`."""
        values = dict.fromkeys(text_of(exception, "value") or "" for exception in interface_values(self._event, "exception"))
        totals = accumulate(min(len(value), MAX_CHARS) for value in values)
        return {value for value, total in zip(values, totals, strict=True) if total > MAX_EVENT_CHARS}
