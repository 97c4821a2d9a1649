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
from pipeline.quotas.window import Window, clamped, window_at

_NO_WINDOW_S = 2**33
"""What a token bucket has in place of a window: one that no arrival leaves."""


class Charges:
    """The counters of one scope and category while none of their windows turns: for arrivals in [start, end).

    `source` is the sequence of quotas that they were made from; `counters` are the names and definitions
    that the script takes.
    `closed` is the verdict that needs no Redis: for good where a quota rejects at once (`closes_at_once`), else a local memory,
    until `closed_until` by the caller's clock, of Redis having said that a limit is used up.
    """

    __slots__ = (
        "call",
        "closed",
        "closed_in",
        "closed_mask",
        "closed_until",
        "closes_at_once",
        "counters",
        "drops",
        "end",
        "has_reserve",
        "index",
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
        self.closed: Verdict | None = None
        self.closed_until = 0.0
        self.closed_in: object = None
        """The local memory that `closed` belongs to: it may have been dropped as a whole."""
        self.closed_mask = 0
        self.closes_at_once = False
        self.drops = 0
        """What the local memory refused and Redis has not been told yet."""
        self.seen: set[bytes] = set()
        """Signatures that need not be asked about again: with a reserve, only these are answered from the local memory."""
        self.call: object = None
        """The part of a call that `index`, the place among its combos, belongs to."""
        self.index = 0

    def rejection(self, mask: int, now: float, max_retry_s: int | None) -> Verdict:
        """Give the verdict for the counters named by the bits of `mask`; the first one's reason is the event's."""
        rejecting = [at for at in range(len(self.quotas)) if mask >> at & 1]
        limits = []
        for at in rejecting:
            bucket = self.quotas[at].bucket
            retry_s = max(self.windows[at].end - now, 0) if bucket is None else 1 / bucket.refill_per_s
            limits.append(RateLimit.of(self.quotas[at], retry_s if max_retry_s is None else min(retry_s, max_retry_s)))
        return Verdict(Fate.RATE_LIMITED, self.quotas[rejecting[0]].reason_code, merge(limits))


class Plan:
    """The quotas that concern one scope and category."""

    __slots__ = ("_counted", "_recent", "_refusal", "_scope", "source")

    def __init__(self, scope: Scope, category: DataCategory, quotas: Sequence[Quota]) -> None:
        self.source = quotas
        self._scope = scope
        matching = [quota for quota in quotas if quota.scope is not QuotaScope.GROUP and quota.matches(scope, category)]
        self._refusal = refusal(matching)
        self._counted = [quota for quota in matching if quota.is_counted] if self._refusal is None else []
        self._recent: list[Charges] = []

    def at(self, received: float) -> Charges:
        """Give the charges for an arrival. A few are remembered: a batch mixes the end of one window and the next's start."""
        received = clamped(received)
        for charges in self._recent:
            if charges.start <= received < charges.end:
                return charges
        charges = Charges(self.source, self._counted, self._scope, received)
        charges.closed, charges.closes_at_once = self._refusal, self._refusal is not None
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


def _definition(quota: Quota, window: Window) -> tuple[Any, ...]:
    """Give a counter's definition in the form that `counters.lua` tells; a limit of -1 is none."""
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
