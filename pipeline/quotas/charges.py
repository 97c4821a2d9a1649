"""Charges: which counters an event of a scope and category moves, worked out once per window instead of once per event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.model.category import DataCategory
from pipeline.model.outcome import Fate
from pipeline.model.scope import Scope
from pipeline.quotas.ledger import Verdict
from pipeline.quotas.model import MAX_LIMIT, Quota, QuotaScope
from pipeline.quotas.rate_limit import IMMEDIATE_RETRY_S, RateLimit, merge
from pipeline.quotas.window import Window, window_at

LAST_MOMENT = 2**32 - 1
"""Arrivals are counted up to the year 2106: an absurd clock must not become an expiry that Redis refuses."""


class Charges:
    """The counters of one scope and category while none of their windows turns: for arrivals in [start, end).

    `rows` are the counters as the script takes them. `full_until` is a local memory: until then (by the caller's clock)
    every event gets `full_verdict`, because Redis said that the limit is used up.
    """

    __slots__ = ("call", "end", "full_until", "full_verdict", "index", "project", "quotas", "rows", "start", "windows")

    def __init__(self, scope: Scope, quotas: Sequence[Quota], received: float, group_id: int | None = None) -> None:
        self.quotas = quotas
        self.project = str(scope.project_id)
        self.windows = [window_at(received, quota.window_s or 1, scope.organization_id) for quota in quotas]
        self.start = max((window.start for window in self.windows), default=0)
        self.end = min((window.end for window in self.windows), default=LAST_MOMENT + 1)
        self.rows = [_row(quota, window, scope, group_id) for quota, window in zip(quotas, self.windows, strict=True)]
        self.full_until = 0.0
        self.full_verdict: Verdict | None = None
        self.call: object = None
        """The call that `index`, the place among its combos, belongs to."""
        self.index = 0

    def rejection(self, mask: int, now: float, max_retry_s: int | None) -> Verdict:
        """Give the verdict for the counters named by the bits of `mask`; the first one's reason is the event's."""
        rejecting = [at for at in range(len(self.quotas)) if mask >> at & 1]
        limits = []
        for at in rejecting:
            retry_s = max(self.windows[at].end - now, 0)
            limits.append(RateLimit.of(self.quotas[at], retry_s if max_retry_s is None else min(retry_s, max_retry_s)))
        return Verdict(Fate.RATE_LIMITED, self.quotas[rejecting[0]].reason_code, merge(limits))


class Plan:
    """The quotas that concern one scope and category. `refusal` is set where one of them rejects at once (limit 0)."""

    __slots__ = ("_quotas", "_recent", "_scope", "refusal", "source")

    def __init__(self, scope: Scope, category: DataCategory, quotas: Sequence[Quota]) -> None:
        self.source = quotas
        self._scope = scope
        matching = [quota for quota in quotas if quota.scope is not QuotaScope.GROUP and quota.matches(scope, category)]
        self.refusal = refusal(matching)
        self._quotas = [quota for quota in matching if quota.is_counted]
        self._recent: list[Charges] = []

    def at(self, received: float) -> Charges:
        """Give the charges for an arrival. A few are remembered: a batch mixes the end of one window and the next's start."""
        received = min(max(received, 0), LAST_MOMENT)
        for charges in self._recent:
            if charges.start <= received < charges.end:
                return charges
        charges = Charges(self._scope, self._quotas, received)
        self._recent = [charges, *self._recent[:3]]
        return charges


def refusal(quotas: Sequence[Quota]) -> Verdict | None:
    """Give the verdict of the quotas of limit 0 among those that match; such an event moves no counter at all."""
    closed = [quota for quota in quotas if quota.limit == 0 and quota.bucket is None]
    if not closed:
        return None
    limits = merge(RateLimit.of(quota, IMMEDIATE_RETRY_S) for quota in closed)
    return Verdict(Fate.RATE_LIMITED, closed[0].reason_code, limits)


def counter_stem(quota: Quota, scope: Scope, group_id: int | None = None) -> str:
    """Name a quota's counter for one instance of its scope, as Relay does: `id{organization}subscope`."""
    match quota.scope:
        case QuotaScope.PROJECT:
            subscope = str(scope.project_id)
        case QuotaScope.KEY:
            subscope = "" if scope.key_id is None else str(scope.key_id)
        case QuotaScope.GROUP:
            subscope = f"{scope.project_id}/{group_id}"
        case QuotaScope.ORGANIZATION | QuotaScope.UNKNOWN:
            subscope = ""
    return f"{quota.id}{{{scope.organization_id}}}{subscope}"


def _row(quota: Quota, window: Window, scope: Scope, group_id: int | None) -> list[Any]:
    """Give a counter as the script takes it: stem, slot, limit (-1: none), end of the window, reason."""
    limit = -1 if quota.limit is None or quota.limit > MAX_LIMIT else quota.limit
    return [counter_stem(quota, scope, group_id), window.slot, limit, window.end, quota.reason_code or ""]
