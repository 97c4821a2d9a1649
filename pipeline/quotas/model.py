"""Quotas, the windows they count in, and which events a quota counts (docs/spec/quotas.md)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from pipeline.model.category import DataCategory
from pipeline.model.scope import Scope

MAX_LIMIT = 2**63 - 1
"""A limit that does not fit into Redis's 64 bits counts as unlimited."""
LONGEST_AHEAD_S = 86_400
"""The most by which an arrival may be ahead of the caller's clock; later ones count as this far ahead. A sender's clock may
be years ahead. It would then fill future windows and drain token buckets, and its keys would live until then."""
LAST_MOMENT = 2**32 - 1
"""The latest time that is counted, in the year 2106. Redis refuses much later expiries."""


class QuotaScope(StrEnum):
    """Whom a quota counts. Each organization, project, key or group has a counter of its own."""

    ORGANIZATION = "organization"
    PROJECT = "project"
    KEY = "key"
    GROUP = "group"
    UNKNOWN = "unknown"
    """A scope that only a later version knows. It is counted for the whole organization. A rules file must not name it."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """A token bucket instead of a fixed window: `burst` events at once, refilled by `refill_per_s` events a second."""

    burst: int
    refill_per_s: float


@dataclass(frozen=True, slots=True)
class Spike:
    """A limit of `factor` times the mean of the scope's last `windows` windows, but at least `minimum`."""

    factor: float
    windows: int
    minimum: int


@dataclass(frozen=True, slots=True)
class Quota:
    """One `[[quota]]` of a `quotas.toml`. `limit` None counts without limiting, 0 rejects at once; `window_s` is in seconds.

    `bucket` or `spike` replaces the fixed limit. The other fields refine it:
    `fair_share` is the part of an organization's limit that only projects within their equal share may use.
    `reserve` is how many events over the limit may pass in a window if no event with their signature was seen in it.
    `sample_rate` is the part of a group's excess that is kept, chosen by a hash of the event id.
    """

    id: str | None
    scope: QuotaScope = QuotaScope.ORGANIZATION
    scope_id: str | None = None
    categories: frozenset[DataCategory] = frozenset()
    limit: int | None = None
    window_s: int | None = None
    reason_code: str | None = None
    bucket: Bucket | None = None
    spike: Spike | None = None
    fair_share: float | None = None
    reserve: int = 0
    sample_rate: float | None = None

    def matches(self, scope: Scope, category: DataCategory) -> bool:
        """Whether this quota counts a category of a scope. A quota without categories counts all."""
        if self.categories and category not in self.categories:
            return False
        if self.scope_id is None:
            return True
        owner = self.owner(scope)
        is_number = self.scope_id.isascii() and self.scope_id.isdecimal() and len(self.scope_id) <= 20
        return is_number and owner == int(self.scope_id)

    def owner(self, scope: Scope) -> int | None:
        """Return the id that `scope_id` is compared with, or None for an unknown scope."""
        match self.scope:
            case QuotaScope.ORGANIZATION:
                return scope.organization_id
            case QuotaScope.PROJECT | QuotaScope.GROUP:
                return scope.project_id
            case QuotaScope.KEY:
                return scope.key_id
            case QuotaScope.UNKNOWN:
                return None

    @property
    def gives_back(self) -> bool:
        """Whether count may give back what admit charged, because the decision depends on the group."""
        return self.scope is QuotaScope.GROUP or self.reserve > 0

    @property
    def is_counted(self) -> bool:
        """Whether Redis keeps a counter for it. A limit of 0 needs none, and a quota without an id or a window is skipped."""
        if self.limit == 0 or self.id is None:
            return False
        return self.bucket is not None or bool(self.window_s)


class Window(NamedTuple):
    """One window of a quota, from `start` until just before `end` (epoch seconds). `slot` is its number, counted from 1970."""

    slot: int
    start: int
    end: int


def window_at(timestamp: float, window_s: int, organization_id: int) -> Window:
    """Return the window that a time (epoch seconds) falls into.

    Windows are fixed, and shifted by the organization's id, so that those of all organizations do not end at the same time.

    >>> window_at(130.0, 60, organization_id=7)
    Window(slot=2, start=127, end=187)
    """
    shift = organization_id % window_s
    slot = int((timestamp - shift) // window_s)
    start = slot * window_s + shift
    return Window(slot, start, start + window_s)


def clamped(timestamp: float) -> float:
    """Return the time, moved into the range from 1970 to 2106. NaN becomes 1970."""
    if 0 <= timestamp <= LAST_MOMENT:
        return timestamp
    return LAST_MOMENT if timestamp > LAST_MOMENT else 0
