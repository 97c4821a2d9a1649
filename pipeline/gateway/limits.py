"""Rate limits at the door: what is told to senders, so that they stop sending. The door charges nothing; workers do.

Only limits of whole categories are told. A limit of one group would silence its whole category.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pipeline.gateway.answers import JSON, Answer
from pipeline.gateway.routes import Endpoint
from pipeline.model.category import DataCategory
from pipeline.model.scope import Scope
from pipeline.quotas.model import Quota, QuotaScope
from pipeline.quotas.rate_limit import IMMEDIATE_RETRY_S, RateLimit, format_header, merge, retry_after
from pipeline.rules.snapshot import Rules

UNLIMITED = frozenset({Endpoint.MINIDUMP, Endpoint.UNREAL, Endpoint.NEL, Endpoint.CRON})
"""Endpoints whose clients do not understand 429, or must not be silenced."""


class Limits(Protocol):
    """Which limits hold at the moment. A wrong answer costs nothing but traffic."""

    def current(self, scope: Scope, rules: Rules) -> tuple[RateLimit, ...]:
        """Return the limits that hold for a sender. Must not wait for anything."""


class ClosedCategories:
    """The limits that follow from the rules alone: quotas of limit 0 take nothing of their categories."""

    def current(self, scope: Scope, rules: Rules) -> tuple[RateLimit, ...]:
        """Return one limit for each quota of limit 0 that counts this sender."""
        quotas = rules.project(scope.project_id).quotas
        return merge(RateLimit.of(quota, IMMEDIATE_RETRY_S) for quota in quotas if quota.limit == 0 and _counts(quota, scope))


def _counts(quota: Quota, scope: Scope) -> bool:
    """Whether a quota counts a sender as a whole; one of groups never does."""
    if quota.scope in {QuotaScope.GROUP, QuotaScope.UNKNOWN} or (quota.scope is QuotaScope.KEY and scope.key_id is None):
        return False
    return quota.matches(scope, next(iter(quota.categories), DataCategory.ERROR))


def limited_counts(
    counts: Sequence[tuple[DataCategory, int]], limits: Sequence[RateLimit]
) -> tuple[tuple[tuple[DataCategory, int], RateLimit], ...] | None:
    """Return each of the counts with a limit that it falls under; None unless all of them do.

    A request is refused only where all that it holds is limited, and never where it holds nothing that counts.
    """
    found = []
    for count in counts:
        limit = next((limit for limit in limits if not limit.categories or count[0] in limit.categories), None)
        if limit is None:
            return None
        found.append((count, limit))
    return tuple(found) or None


def headers_of(limits: Sequence[RateLimit]) -> tuple[tuple[str, str], ...]:
    """Return what an accepted request tells of limits: their header, without Retry-After, which some clients take for all."""
    return (("x-sentry-rate-limits", format_header(limits)),) if limits else ()


def too_many_requests(limits: Sequence[RateLimit]) -> Answer:
    """Return the answer to a request whose whole content is limited."""
    body = b'{"detail":"Sentry dropped data due to a quota or internal rate limit being reached."}'
    return Answer(429, body, (JSON, *headers_of(limits), ("retry-after", retry_after(limits))))
