"""Scope: whom an event belongs to, and so whom a quota counts."""

from __future__ import annotations

from typing import NamedTuple


class Scope(NamedTuple):
    """Organization, project and, where the sender named it, the project's key."""

    organization_id: int
    project_id: int
    key_id: int | None = None
