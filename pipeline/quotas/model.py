"""Quota: a rule that limits how much of some categories a scope may send in a window (spec/ingest.md, section 1)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pipeline.model.category import DataCategory
from pipeline.model.scope import Scope


class QuotaScope(StrEnum):
    """Whom a quota counts. Each instance has its own counter."""

    ORGANIZATION = "organization"
    PROJECT = "project"
    KEY = "key"
    GROUP = "group"


@dataclass(frozen=True, slots=True)
class Quota:
    """One `[[quota]]` of a `quotas.toml`. `limit` None counts without limiting, 0 rejects at once; `window_s` in seconds."""

    id: str | None
    scope: QuotaScope = QuotaScope.ORGANIZATION
    scope_id: str | None = None
    categories: frozenset[DataCategory] = frozenset()
    limit: int | None = None
    window_s: int | None = None
    reason_code: str | None = None

    def matches(self, scope: Scope, category: DataCategory) -> bool:
        """Say whether this quota counts that category of that scope; no categories means every one."""
        if self.categories and category not in self.categories:
            return False
        if self.scope_id is None:
            return True
        owner = {
            QuotaScope.ORGANIZATION: scope.organization_id,
            QuotaScope.PROJECT: scope.project_id,
            QuotaScope.KEY: scope.key_id,
            QuotaScope.GROUP: scope.project_id,
        }[self.scope]
        return self.scope_id.isdecimal() and owner == int(self.scope_id)
