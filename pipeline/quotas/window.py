"""Windows: fixed, and shifted by organization, so that not all turn at once (spec/ingest.md, section 1)."""

from __future__ import annotations

from typing import NamedTuple

GRACE_S = 60
"""A counter outlives its window by this much: clocks of workers and Redis differ."""


class Window(NamedTuple):
    """One window of a quota. `slot` numbers it; it begins at `start` and ends before `end` (epoch seconds)."""

    slot: int
    start: int
    end: int


LAST_MOMENT = 2**32 - 1
"""Moments are counted up to the year 2106: an absurd clock must not become an expiry that Redis refuses."""


def clamped(timestamp: float) -> float:
    """Give a moment that can be counted: from 1970 to 2106, and 1970 for what is no number."""
    if 0 <= timestamp <= LAST_MOMENT:
        return timestamp
    return LAST_MOMENT if timestamp > LAST_MOMENT else 0


def window_at(timestamp: float, window_s: int, organization_id: int) -> Window:
    """Give the window that a moment falls into."""
    shift = organization_id % window_s
    slot = int((timestamp - shift) // window_s)
    start = slot * window_s + shift
    return Window(slot, start, start + window_s)
