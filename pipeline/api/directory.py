"""Organizations and projects: those that have a folder in the rules, and those of which events are stored."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

from pipeline.rules.snapshot import Rules
from pipeline.store.queries.queries import Queries
from pipeline.uploads.answers import ApiError

REFRESHED_AFTER_S = 1.0
"""A project whose first event came is listed at most this much later. It is found by its number at once."""
ALL_PROJECTS = "-1"


class Organization(NamedTuple):
    """An organization by its number and its slug."""

    id: int
    slug: str


class ProjectEntry(NamedTuple):
    """A project by its number and its slug, with its organization."""

    id: int
    slug: str
    organization: Organization


class Directory:
    """Finds organizations and projects by slugs and numbers. Thread-safe."""

    def __init__(self, rules: Callable[[], Rules], queries: Queries | None, now: Callable[[], float]) -> None:
        self._rules = rules
        self._queries = queries
        self._now = now
        self._lock = threading.Lock()
        self._stored: frozenset[int] = frozenset()
        self._asked_at = float("-inf")

    def organizations(self) -> list[Organization]:
        """Return all organizations, in the order of their numbers."""
        default = self._organization(self._rules().default.project.organization)
        return sorted({default, *(project.organization for project in self.projects())})

    def projects(self, organization: Organization | None = None) -> list[ProjectEntry]:
        """Return the projects of an organization, or all, in the order of their numbers."""
        ids = sorted({*self._rules().projects, *self._stored_projects()})
        found = [self.entry(project_id) for project_id in ids]
        return [project for project in found if organization is None or project.organization == organization]

    def entry(self, project_id: int) -> ProjectEntry:
        """Return a project by its number, whether or not it is known."""
        project = self._rules().project(project_id).project
        slug = project.slug if self._rules().knows(project_id) and project.slug else str(project_id)
        return ProjectEntry(project_id, slug, self._organization(project.organization))

    def organization(self, name: str) -> Organization:
        """Return an organization by slug or number. Raises ApiError (404)."""
        for organization in self.organizations():
            if name in {organization.slug, str(organization.id), f"org{organization.id}"}:
                return organization
        raise ApiError(404, "The requested resource does not exist")

    def project(self, organization: Organization, name: str) -> ProjectEntry:
        """Return a project of an organization by slug or number. Raises ApiError (404)."""
        for project in self.projects(organization):
            if name in {project.slug, str(project.id)}:
                return project
        if name.isascii() and name.isdecimal() and len(name) < 20 and self._is_stored_now(int(name)):
            return self.entry(int(name))
        raise ApiError(404, "The requested resource does not exist")

    def chosen(self, organization: Organization, names: list[str]) -> tuple[ProjectEntry, ...]:
        """Return the projects that a request names by `project=`; all without a name, or with -1. Raises ApiError (404)."""
        if not names or ALL_PROJECTS in names:
            return tuple(self.projects(organization))
        return tuple(dict.fromkeys(self.project(organization, name) for name in names))

    def _organization(self, number: int) -> Organization:
        rules = self._rules()
        named = (one.project for one in (*rules.projects.values(), rules.default))
        slugs = (project.organization_slug for project in named if project.organization == number)
        return Organization(number, next((slug for slug in slugs if slug), f"org{number}"))

    def _stored_projects(self) -> frozenset[int]:
        if self._queries is None:
            return frozenset()
        with self._lock:
            if self._now() - self._asked_at >= REFRESHED_AFTER_S:
                self._stored = frozenset(self._queries.projects())
                self._asked_at = self._now()
            return self._stored

    def _is_stored_now(self, project_id: int) -> bool:
        """Whether a project has events, where the list may be a second old."""
        with self._lock:
            self._asked_at = float("-inf")
        return project_id in self._stored_projects()
