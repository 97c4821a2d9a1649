"""Rate limits: what a sender is told after a rejection, and the form of the response headers (docs/spec/quotas.md)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.model.category import DataCategory
from pipeline.quotas.model import Quota

IMMEDIATE_RETRY_S = 60
"""How long a sender is told to wait after a quota with the limit 0, which has no window."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A request not to send these categories of a scope for `retry_after_s` seconds. No categories means all."""

    retry_after_s: int
    categories: tuple[DataCategory, ...]
    scope: str
    reason_code: str | None = None
    namespaces: tuple[str, ...] = ()

    @classmethod
    def of(cls, quota: Quota, retry_after_s: float) -> RateLimit:
        """Return the rate limit that a rejecting quota causes. Seconds are rounded up."""
        return cls(math.ceil(retry_after_s), tuple(sorted(quota.categories)), str(quota.scope), quota.reason_code)


def merge(limits: Iterable[RateLimit]) -> tuple[RateLimit, ...]:
    """Return the longest of the limits for the same categories and scope, in the order in which they first appear."""
    merged: dict[object, RateLimit] = {}
    for limit in limits:
        key = (limit.categories, limit.scope, limit.namespaces)
        known = merged.get(key)
        if known is None or limit.retry_after_s > known.retry_after_s:
            merged[key] = limit
    return tuple(merged.values())


def format_header(limits: Sequence[RateLimit]) -> str:
    """Return the value of `X-Sentry-Rate-Limits`, for instance `60:error;transaction:organization:over_quota`."""
    return ", ".join(_format(limit) for limit in limits)


def retry_after(limits: Sequence[RateLimit]) -> str:
    """Return the value of `Retry-After`: the seconds of the longest limit."""
    return str(max((limit.retry_after_s for limit in limits), default=0))


def _format(limit: RateLimit) -> str:
    categories = ";".join(category.label for category in limit.categories)
    parts = [str(limit.retry_after_s), categories, limit.scope]
    if limit.reason_code is not None or limit.namespaces:
        parts.append(limit.reason_code or "")
    if limit.namespaces:
        parts.append(";".join(limit.namespaces))
    return ":".join(parts)


def parse_header(text: str) -> tuple[RateLimit, ...]:
    """Parse the value of `X-Sentry-Rate-Limits`.

    An entry with an invalid number is skipped. An unknown category becomes `UNKNOWN`, because an empty list would mean all.
    """
    limits = []
    for entry in text.split(","):
        retry, *rest = entry.strip().split(":")
        seconds = _seconds(retry)
        if seconds is None:
            continue
        categories, scope, reason, namespaces = (*rest, "", "", "", "")[:4]
        limits.append(
            RateLimit(
                seconds,
                tuple(DataCategory.from_label(name.strip()) for name in categories.split(";") if name.strip()),
                scope or "unknown",
                reason or None,
                tuple(name for name in namespaces.split(";") if name),
            )
        )
    return tuple(limits)


def _seconds(text: str) -> int | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return math.ceil(seconds) if 0 <= seconds < 2**53 else None
