"""One call of an endpoint: the request, what its path and query say, and what an endpoint may use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from pipeline.api.directory import Directory, Organization, ProjectEntry
from pipeline.api.parameters import HOUR_S, Asked, ListPage, Query, link_header, parse_asked
from pipeline.api.short_ids import parse_short_id
from pipeline.rules.snapshot import Rules
from pipeline.stages.contract import Context
from pipeline.store.queries.answers import EventSummary, GroupSummary
from pipeline.store.queries.queries import Queries
from pipeline.uploads.answers import ApiAnswer, ApiError, ApiRequest

NOT_FOUND = "The requested resource does not exist"

ExplainContext = Callable[[Rules], Context]
"""Returns the context in which events are grouped anew under some rules, counting and storing nothing."""


@dataclass(frozen=True, slots=True)
class Service:
    """What endpoints may use. `public_url` is None where the address is the one that the client asked."""

    queries: Queries
    directory: Directory
    rules: Callable[[], Rules]
    now: Callable[[], float]
    explain_context: ExplainContext
    rules_path: Path
    load_rules: Callable[[Path], Rules]
    """Returns the rules of another folder. Raises InvalidRulesError."""
    public_url: str | None = None


class ApiCall:
    """One request on its way to an answer."""

    def __init__(self, service: Service, request: ApiRequest, path: Mapping[str, str]) -> None:
        self.service = service
        self.request = request
        self.path = path
        self.query = Query(request.query)
        self.now = datetime.fromtimestamp(service.now(), UTC)

    @property
    def queries(self) -> Queries:
        """The store."""
        return self.service.queries

    @property
    def url(self) -> str:
        """The address that the client reaches this service by, without a slash at its end."""
        return (self.service.public_url or f"http://{self.request.headers.get('host', '')}").rstrip("/")

    @cached_property
    def organization(self) -> Organization | None:
        """The organization of the path, if it names one. Raises ApiError (404)."""
        name = self.path.get("organization")
        return self.service.directory.organization(name) if name else None

    @cached_property
    def project(self) -> ProjectEntry | None:
        """The project of the path, if it names one. Raises ApiError (404)."""
        name = self.path.get("project")
        return self.service.directory.project(self.known_organization, name) if name else None

    @property
    def known_organization(self) -> Organization:
        """The organization of the path; the first one if the path names none."""
        return self.organization or self.service.directory.organizations()[0]

    def asked(self, *, step_s: int = HOUR_S) -> Asked:
        """Return which events the request is about. Raises ApiError."""
        return parse_asked(
            self.query, self.service.directory, self.known_organization, self.project, self.now, self.find_group, step_s=step_s
        )

    def asked_without_search(self, *, step_s: int = HOUR_S) -> Asked:
        """Return the same for an endpoint whose `query` is not a search. Raises ApiError."""
        names = ("project", "projectSlug", "statsPeriod", "start", "end", "environment")
        kept = urlencode([(name, value) for name in names for value in self.query.all(name)])
        return parse_asked(
            Query(kept), self.service.directory, self.known_organization, self.project, self.now, self.find_group, step_s=step_s
        )

    @cached_property
    def reachable(self) -> tuple[int, ...]:
        """The projects in which the path's group or event may be."""
        if self.project is not None:
            return (self.project.id,)
        found = tuple(project.id for project in self.service.directory.projects(self.organization))
        return found or (0,)

    def find_group(self, name: str) -> int | None:
        """Return the group of a number or a short id; None if the text is neither."""
        if name.isascii() and name.isdecimal() and len(name) <= 20 and int(name) < 2**64:
            return int(name)
        short = parse_short_id(name)
        return None if short is None else short.group_id

    def group(self) -> tuple[GroupSummary, ProjectEntry]:
        """Return the group that the path names, by number or short id, with its project. Raises ApiError (404).

        For a group that was merged into another, it is the other one.
        """
        group_id = self.find_group(self.path["issue"])
        if group_id is None:
            raise ApiError(404, NOT_FOUND)
        short = parse_short_id(self.path["issue"])
        projects = self.reachable
        if short is not None and not self.path["issue"].isdecimal():
            entries = (self.service.directory.entry(project) for project in projects)
            projects = tuple(entry.id for entry in entries if entry.slug.upper() == short.slug)
        found = self.queries.group(projects, group_id, self.now) if projects else None
        if found is None and projects:
            into = self.queries.merged_into(projects, group_id)
            found = None if into is None else self.queries.group(projects, into, self.now)
        if found is None:
            raise ApiError(404, NOT_FOUND)
        return found, self.service.directory.entry(found.project_id)

    def event(self, name: str) -> EventSummary:
        """Return an event by its id, with or without hyphens. Raises ApiError (404)."""
        event_id = name.replace("-", "").lower()
        if len(event_id) != 32 or not all(digit in "0123456789abcdef" for digit in event_id):
            raise ApiError(404, NOT_FOUND)
        found = self.queries.event(self.reachable, event_id, self.now)
        if found is None:
            raise ApiError(404, NOT_FOUND)
        return found

    def page(self, body: Any, page: ListPage, *, has_more: bool) -> ApiAnswer:
        """Return a part of a list, with the Link header that names its neighbours."""
        link = link_header(self.url + self.request.path, self.request.query, page, has_more=has_more)
        return ApiAnswer(200, body, (link,))
