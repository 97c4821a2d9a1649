"""Used-up limits that a gateway tells senders. They are read from the counters of the workers; nothing is charged here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, cast

from pipeline.model.scope import Scope
from pipeline.quotas.counters import counter_stem
from pipeline.quotas.model import Quota, QuotaScope, window_at
from pipeline.redis.client import Client, expecting, reaching_redis

KEYS_AT_ONCE = 500


class UsedUp(NamedTuple):
    """A quota that accepts nothing more from a sender until `ends` (epoch seconds)."""

    quota: Quota
    ends: float


class _Counter(NamedTuple):
    scope: Scope
    quota: Quota
    key: str
    ends: float


def counts_sender(quota: Quota, scope: Scope) -> bool:
    """Whether a quota counts everything of a sender. Quotas of groups do not, and quotas of keys need a known key."""
    if quota.scope in {QuotaScope.GROUP, QuotaScope.UNKNOWN} or (quota.scope is QuotaScope.KEY and scope.key_id is None):
        return False
    return (
        any(quota.matches(scope, category) for category in quota.categories)
        if quota.categories
        else quota.owner(scope) is not None
    )


def find_used_up(
    client: Client, senders: Iterable[tuple[Scope, Sequence[Quota]]], now: float, prefix: str = ""
) -> Mapping[Scope, tuple[UsedUp, ...]]:
    """Return the used-up quotas of each sender that has any. Two keys are read for each quota of each sender.

    Only quotas with fixed windows are returned. Buckets are refilled all the time, and quotas with a reserve, a sample or a fair
    share may still accept other events of the same scope. Raises RetryableError if Redis is away.
    """
    by_organization: defaultdict[int, list[_Counter]] = defaultdict(list)
    for scope, quotas in senders:
        for quota in quotas:
            if _is_fixed(quota) and counts_sender(quota, scope) and quota.window_s is not None:
                window = window_at(now, quota.window_s, scope.organization_id)
                key = f"quota:{counter_stem(quota, scope)}:{window.slot}"
                by_organization[scope.organization_id].append(_Counter(scope, quota, key, window.end))
    found: defaultdict[Scope, list[UsedUp]] = defaultdict(list)
    for counters in by_organization.values():  # a cluster keeps the keys of an organization on one server
        for first in range(0, len(counters), KEYS_AT_ONCE):
            _read(client, counters[first : first + KEYS_AT_ONCE], prefix, found)
    return {scope: tuple(used_up) for scope, used_up in found.items()}


def _is_fixed(quota: Quota) -> bool:
    has_more = quota.bucket is not None or quota.spike is not None or quota.fair_share is not None
    return quota.is_counted and quota.limit is not None and not (has_more or quota.reserve or quota.sample_rate)


def _read(client: Client, counters: Sequence[_Counter], prefix: str, found: defaultdict[Scope, list[UsedUp]]) -> None:
    keys = [f"{prefix}{refunded}{counter.key}" for counter in counters for refunded in ("", "r:")]
    with reaching_redis():
        values = cast("list[bytes | None]", client.mget(keys))
    for index, counter in enumerate(counters):
        with expecting("number", counter.key):
            used = int(values[2 * index] or 0) - int(values[2 * index + 1] or 0)
        if counter.quota.limit is not None and used >= counter.quota.limit:
            found[counter.scope].append(UsedUp(counter.quota, counter.ends))
