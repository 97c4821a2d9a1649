"""Scopes: the organization, project and key that an event belongs to. Quotas count by scope."""

from __future__ import annotations

from typing import NamedTuple


class Scope(NamedTuple):
    """Organization, project and, if the sender named it, the project's key."""

    organization_id: int
    project_id: int
    key_id: int | None = None
