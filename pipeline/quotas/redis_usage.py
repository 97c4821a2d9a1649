"""Usage: what each quota has counted, for `pipeline quotas show`. Reading it scans the names of all counters."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.quotas.model import Quota, QuotaScope, window_at
from pipeline.redis.client import Client, expecting, reaching_redis, read_number

NEARLY_FULL = 0.8
_NAME = re.compile(r"^(?:quota|bucket|dropped):([A-Za-z0-9_.-]+)\{(\d+)\}([^:]*)(?::(-?\d+))?$")
_DAY_S = 86_400
_BATCH = 1_000

QuotasByProject = Mapping[int | None, Sequence[Quota]]
"""The quotas in force, by project. The key None stands for all projects without rules of their own."""


@dataclass(slots=True)
class Usage:
    """One counter at the time it was read.

    `owner` is the project, key or `project/group` that it counts, or None for the organization. `limit` is None if the quota only
    counts. `resets_at` (epoch seconds) is the end of the window, or the time when a token bucket is full again. `dropped_today`
    counts from midnight UTC. A crash may lose a second of it; outcomes are exact.
    """

    quota: str
    scope: str
    organization: int
    owner: str | None
    used: int
    limit: int | None
    resets_at: float | None
    dropped_today: int = 0

    def concerns(self, project: int, organization: int, keys: Sequence[int]) -> bool:
        """Whether the counter counts a project's events: for the project, one of its keys or groups, or its organization."""
        if self.owner is None:
            return self.organization == organization
        if self.scope == QuotaScope.KEY:
            return self.owner in map(str, keys)
        return self.owner.partition("/")[0] == str(project)

    @property
    def share(self) -> float | None:
        """The share of the limit that is used, or None without a limit."""
        return self.used / self.limit if self.limit else None

    @property
    def is_nearly_full(self) -> bool:
        """Whether more than 80 % of the limit is used."""
        return self.share is not None and self.share > NEARLY_FULL

    def to_json(self) -> dict[str, Any]:
        """Return all fields, `share` and `is_nearly_full`."""
        return asdict(self) | {"share": self.share, "is_nearly_full": self.is_nearly_full}


def read_usage(client: Client, quotas: QuotasByProject, now: float, prefix: str = "") -> list[Usage]:
    """Return the usage of every quota that has counted or dropped something in its present window, the fullest first.

    Raises RetryableError, also for a key with an unexpected value; the message names the key.
    """
    found: dict[tuple[str, int, str], Usage] = {}
    with reaching_redis():
        for key in _keys(client, prefix, "quota:*", "bucket:*", "dropped:*"):
            _add(found, client, quotas, now, key, prefix)
    return sorted(found.values(), key=lambda usage: (-(usage.share or 0), usage.quota, usage.organization, usage.owner or ""))


def _add(
    found: dict[tuple[str, int, str], Usage], client: Client, quotas: QuotasByProject, now: float, key: str, prefix: str
) -> None:
    name = _NAME.match(key)
    if name is None:
        return
    kind, (quota_id, organization, owner, slot) = key.partition(":")[0], name.groups()
    quota = _quota(quotas, quota_id, owner)
    if quota is None:
        return
    usage = found.get((quota_id, int(organization), owner))
    if usage is None:
        usage = Usage(quota_id, str(quota.scope), int(organization), owner or None, 0, quota.limit, None)
    if kind == "dropped":
        if int(slot) != int(now // _DAY_S):
            return
        usage.dropped_today = read_number(client, prefix + key)
    elif kind == "bucket" and quota.bucket is not None:
        with expecting("token bucket", prefix + key):
            debt, at = (float(value or 0) for value in client.hmget(prefix + key, ["debt", "at"]))
        left = max(0.0, debt - max(0.0, now - at) * quota.bucket.refill_per_s)
        usage.used, usage.limit, usage.resets_at = round(left), quota.bucket.burst, now + left / quota.bucket.refill_per_s
    elif quota.window_s is not None:
        window = window_at(now, quota.window_s, int(organization))
        if int(slot) != window.slot:
            return
        usage.used = read_number(client, prefix + key) - read_number(client, f"{prefix}r:{key}")
        usage.resets_at = window.end
        if quota.spike is not None:
            stem = key.rpartition(":")[0]
            past = sum(read_number(client, f"{prefix}{stem}:{window.slot - back}") for back in range(1, quota.spike.windows + 1))
            usage.limit = max(quota.spike.minimum, int(quota.spike.factor * past / quota.spike.windows))
    found[quota_id, int(organization), owner] = usage


def _quota(quotas: QuotasByProject, quota_id: str, owner: str) -> Quota | None:
    """Return the quota of a counter: the project's own if the counter is a project's, else any quota with that id."""
    project = owner.partition("/")[0]
    own = quotas.get(int(project), ()) if project.isdigit() else ()
    everywhere = (quota for known in quotas.values() for quota in known)
    return next((quota for quota in (*own, *quotas.get(None, ()), *everywhere) if quota.id == quota_id), None)


def _keys(client: Client, prefix: str, *patterns: str) -> Iterator[str]:
    escaped = "".join(f"\\{c}" if c in "*?[]\\" else c for c in prefix)
    for pattern in patterns:
        for key in client.scan_iter(match=escaped + pattern, count=_BATCH):
            yield key.decode("utf-8", "replace")[len(prefix) :]
