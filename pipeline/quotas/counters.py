"""Counters: which ones an event of a scope and category is charged to. This is computed once per window, not once per event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.model.category import DataCategory
from pipeline.model.outcome import Fate
from pipeline.model.scope import Scope
from pipeline.quotas.ledger import Decision
from pipeline.quotas.model import MAX_LIMIT, Quota, QuotaScope, Window, clamped, window_at
from pipeline.quotas.rate_limit import IMMEDIATE_RETRY_S, RateLimit, merge

_NO_WINDOW_S = 2**33
"""A token bucket has no window. It gets one that all arrivals fall into."""


class CounterSet:
    """The counters of one scope and category for arrivals in [start, end). None of their windows ends in between.

    `source` is the sequence of quotas that they were made from. `counters` are their names and definitions, as the script takes
    them: `[("project{1}7:28", (100, 4102444860, "over", 0))]`.
    `closed` is a decision that needs no call. It is permanent if a quota has the limit 0 (`closes_at_once`). Otherwise a limit is
    used up, and the worker remembers this until `closed_until` by the caller's clock.
    """

    __slots__ = (
        "call",
        "closed",
        "closed_by",
        "closed_generation",
        "closed_until",
        "closes_at_once",
        "combo",
        "counters",
        "drops",
        "end",
        "has_reserve",
        "organization",
        "project",
        "quotas",
        "seen",
        "source",
        "start",
        "windows",
    )

    def __init__(
        self, source: Sequence[Quota], quotas: Sequence[Quota], scope: Scope, received: float, group_id: int | None = None
    ) -> None:
        self.source = source
        self.quotas = quotas
        self.organization = scope.organization_id
        self.project = str(scope.project_id)
        self.windows = [window_at(received, quota.window_s or _NO_WINDOW_S, scope.organization_id) for quota in quotas]
        self.has_reserve = any(quota.reserve for quota in quotas)
        self.start = max((window.start for window in self.windows), default=0)
        self.end = min((window.end for window in self.windows), default=_NO_WINDOW_S)
        self.counters = [
            (f"{counter_stem(quota, scope, group_id)}:{window.slot}", _definition(quota, window))
            for quota, window in zip(quotas, self.windows, strict=True)
        ]
        self.closed: Decision | None = None
        self.closed_until = 0.0
        self.closed_generation: object = None
        """The value of `AdmissionMemory.generation` when `closed` was set."""
        self.closed_by: Sequence[int] = ()
        """The places, from 1, of the counters that are used up."""
        self.closes_at_once = False
        self.drops = 0
        """The quantity that was refused without a call, as long as Redis has not been told."""
        self.seen: set[bytes] = set()
        """Signatures that Redis was asked about. With a reserve, only events with one of these may be refused from memory."""
        self.call: object = None
        """The section to which the number `combo` belongs."""
        self.combo = 0

    def rejection(self, places: Sequence[int], now: float, max_retry_s: int | None) -> Decision:
        """Return the decision for an event that the counters at these places, counted from 1, reject.

        Its reason is that of the first of them. `max_retry_s` limits what the sender is told to wait.
        """
        limits = []
        for at in (place - 1 for place in places):
            bucket = self.quotas[at].bucket
            retry_s = max(self.windows[at].end - now, 0) if bucket is None else 1 / bucket.refill_per_s
            limits.append(RateLimit.of(self.quotas[at], retry_s if max_retry_s is None else min(retry_s, max_retry_s)))
        return Decision(Fate.RATE_LIMITED, self.quotas[places[0] - 1].reason_code, merge(limits))


class MatchingQuotas:
    """The quotas that count one scope and category, and their counters for the latest arrivals."""

    __slots__ = ("_counted", "_recent", "_refusal", "_scope", "source")

    def __init__(self, scope: Scope, category: DataCategory, quotas: Sequence[Quota]) -> None:
        self.source = quotas
        self._scope = scope
        matching = [quota for quota in quotas if quota.scope is not QuotaScope.GROUP and quota.matches(scope, category)]
        self._refusal = refusal(matching)
        self._counted = [quota for quota in matching if quota.is_counted] if self._refusal is None else []
        self._recent: list[CounterSet] = []

    def at(self, received: float) -> CounterSet:
        """Return the counters for an arrival (epoch seconds).

        The last four sets are kept, because a batch may mix the end of one window with the start of the next.
        """
        received = clamped(received)
        for counter_set in self._recent:
            if counter_set.start <= received < counter_set.end:
                return counter_set
        counter_set = CounterSet(self.source, self._counted, self._scope, received)
        counter_set.closed, counter_set.closes_at_once = self._refusal, self._refusal is not None
        self._recent = [counter_set, *self._recent[:3]]
        return counter_set


def refusal(quotas: Sequence[Quota]) -> Decision | None:
    """Return the decision if one of the matching quotas has the limit 0, else None. Such an event moves no counter."""
    closed = [quota for quota in quotas if quota.limit == 0 and quota.bucket is None]
    if not closed:
        return None
    limits = merge(RateLimit.of(quota, IMMEDIATE_RETRY_S) for quota in closed)
    return Decision(Fate.RATE_LIMITED, closed[0].reason_code, limits)


def counter_stem(quota: Quota, scope: Scope, group_id: int | None = None) -> str:
    """Return the name of a quota's counter without its window, in Relay's form `id{organization}owner`.

    For instance `daily{1}7` for project 7 of organization 1, `per-group{1}7/1234` for a group of that project.
    """
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


def _definition(quota: Quota, window: Window) -> tuple[Any, ...]:
    """Return a counter's definition in the form that `counters.lua` describes. A limit of -1 means that there is none."""
    reason = quota.reason_code or ""
    if quota.bucket is not None:
        return (quota.bucket.burst, 0, reason, 0, "bucket", quota.bucket.refill_per_s)
    limit = -1 if quota.limit is None or quota.limit > MAX_LIMIT else quota.limit
    length_s = window.end - window.start
    if quota.spike is not None:
        spike = quota.spike
        kind: tuple[Any, ...] = ("spike", spike.factor, spike.windows, spike.minimum, spike.windows * length_s)
    elif quota.fair_share is not None:
        kind = ("fair", quota.fair_share, length_s)
    else:
        kind = ()
    return (limit, window.end, reason, quota.reserve, *kind)
