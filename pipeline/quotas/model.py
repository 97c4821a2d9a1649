"""Quota: a rule that limits how much of some categories a scope may send (spec/ingest.md, section 1)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pipeline.model.category import DataCategory
from pipeline.model.scope import Scope

MAX_LIMIT = 2**63 - 1
"""A limit that does not fit Redis's 64 bits counts as unlimited."""


class QuotaScope(StrEnum):
    """Whom a quota counts. Each instance has its own counter."""

    ORGANIZATION = "organization"
    PROJECT = "project"
    KEY = "key"
    GROUP = "group"
    UNKNOWN = "unknown"
    """A scope of a later version: counted for the whole organization. A rules file may not name one."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """A token bucket in place of a fixed window: `burst` at once, refilled by `refill_per_s`."""

    burst: int
    refill_per_s: float


@dataclass(frozen=True, slots=True)
class Spike:
    """A limit that follows the scope's own past: `factor` times the mean of its last `windows` windows, at least `minimum`."""

    factor: float
    windows: int
    minimum: int


@dataclass(frozen=True, slots=True)
class Quota:
    """One `[[quota]]` of a `quotas.toml`. `limit` None counts without limiting, 0 rejects at once; `window_s` in seconds.

    At most one of `bucket` and `spike` replaces the fixed limit. The rest refines it:
    `fair_share` is the part of an organization's limit that only projects within their equal share may use;
    `reserve` is how many events beyond the limit may pass in a window because nobody saw their group before;
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
        """Say whether this quota counts that category of that scope; no categories means every one."""
        if self.categories and category not in self.categories:
            return False
        if self.scope_id is None:
            return True
        owner = self.owner(scope)
        is_number = self.scope_id.isascii() and self.scope_id.isdecimal() and len(self.scope_id) <= 20
        return is_number and owner == int(self.scope_id)

    def owner(self, scope: Scope) -> int | None:
        """Give the id that `scope_id` is compared with; an unknown scope has none."""
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
        """Whether count may undo what admit charged: once the group is known, for the batches after this one."""
        return self.scope is QuotaScope.GROUP or self.reserve > 0

    @property
    def is_counted(self) -> bool:
        """Whether Redis keeps a counter for it: rejecting at once needs none, and a quota without id or window is skipped."""
        if self.limit == 0 or self.id is None:
            return False
        return self.bucket is not None or bool(self.window_s)
