"""Groups and events of the store as the API's answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from pipeline.api.directory import Organization, ProjectEntry
from pipeline.api.short_ids import encode_short_id
from pipeline.api.shown_text import MAX_TITLE_CHARS, shown
from pipeline.api.types import (
    EventJson,
    IssueDetailJson,
    IssueJson,
    OrganizationJson,
    ProjectJson,
    ProjectSummaryJson,
    TagJson,
    TagKeyJson,
    TagValueJson,
    iso,
)
from pipeline.store.queries.answers import EventSummary, GroupSummary, TagFacet
from pipeline.store.queries.filters import Status

_SENTRY_PREFIX = "sentry:"
_SUBSTATUS = {Status.UNRESOLVED: "ongoing", Status.RESOLVED: None, Status.IGNORED: "archived_until_escalating"}


def organization_json(organization: Organization, url: str) -> OrganizationJson:
    """Return an organization. `url` is the address that clients reach this service by."""
    links = {"organizationUrl": f"{url}/organizations/{organization.slug}/", "regionUrl": url}
    return OrganizationJson(id=str(organization.id), slug=organization.slug, name=organization.slug, links=links)


def project_json(project: ProjectEntry, url: str) -> ProjectJson:
    """Return a project."""
    organization = organization_json(project.organization, url)
    return ProjectJson(id=str(project.id), slug=project.slug, name=project.slug, platform=None, organization=organization)


def issue_json(
    group: GroupSummary, project: ProjectEntry, url: str, stats: dict[str, list[tuple[int, int]]] | None = None
) -> IssueJson:
    """Return a group."""
    return IssueJson(**_issue_fields(group, project, url), stats=stats or {})


def issue_detail_json(
    group: GroupSummary,
    project: ProjectEntry,
    url: str,
    *,
    stats: dict[str, list[tuple[int, int]]],
    releases: tuple[str, str],
    tags: Iterable[TagFacet],
) -> IssueDetailJson:
    """Return a group with tags, and with the releases that it was first and last seen in."""
    first, last = (None if release == "" else release_json(release) for release in releases)
    fields = _issue_fields(group, project, url)
    keys = tuple(
        {"key": name, "name": name, "totalValues": tag.count, "uniqueValues": tag.distinct}
        for tag in tags
        if (name := shown(tag_name(tag.key)))
    )
    return IssueDetailJson(**fields, stats=stats, first_release=first, last_release=last, tags=keys)


def event_json(event: EventSummary) -> EventJson:
    """Return an event as lists have it."""
    return EventJson(**event_fields(event))


def event_fields(event: EventSummary) -> dict[str, Any]:
    """Return the fields that all forms of an event have."""
    return {
        "id": event.event_id,
        "event_id": event.event_id,
        "group_id": str(event.group_id),
        "project_id": str(event.project_id),
        "type": event.type or "error",
        "title": shown(event.title, MAX_TITLE_CHARS),
        "message": shown(event.message, 8 * MAX_TITLE_CHARS),
        "culprit": shown(event.culprit, MAX_TITLE_CHARS),
        "location": shown(event.location, MAX_TITLE_CHARS) or None,
        "platform": event.platform or "other",
        "level": event.level or "error",
        "date_created": iso(event.timestamp),
        "date_received": iso(event.received),
        "tags": tuple(TagJson(key=shown(tag_name(key)), value=shown(value)) for key, value in event.tags),
        "user": _user(event),
        "metadata": metadata(event),
    }


def metadata(event: EventSummary) -> dict[str, Any]:
    """Return what a title is made of."""
    if not event.exception_types:
        return {"title": shown(event.title, MAX_TITLE_CHARS)}
    found = {
        "type": event.exception_types[-1],
        "value": event.exception_values[-1],
        "filename": event.filename,
        "function": event.function,
    }
    return {name: shown(value, MAX_TITLE_CHARS) for name, value in found.items() if value or name in {"type", "value"}}


def tag_name(key: str) -> str:
    """Return a tag's name as users know it: without the prefix of what Sentry itself sets."""
    return key.removeprefix(_SENTRY_PREFIX)


def tag_key(name: str) -> str:
    """Return the key of a tag that users know by its name."""
    return f"{_SENTRY_PREFIX}{name}" if name in {"release", "user", "dist"} else name


def tag_json(facet: TagFacet) -> TagKeyJson:
    """Return a tag with its values."""
    name = shown(tag_name(facet.key))
    values = tuple(
        TagValueJson(
            key=name,
            name=shown(one.value),
            value=shown(one.value),
            count=one.count,
            first_seen=iso(one.first_seen),
            last_seen=iso(one.last_seen),
        )
        for one in facet.top
    )
    return TagKeyJson(key=name, name=name, total_values=facet.count, unique_values=facet.distinct, top_values=values)


def release_json(version: str) -> dict[str, Any]:
    """Return a release by its version alone."""
    version = shown(version)
    return {"version": version, "shortVersion": version, "versionInfo": {"description": version}}


def _user(event: EventSummary) -> dict[str, Any] | None:
    found = {
        "id": event.user_id,
        "email": event.user_email,
        "username": event.user_name,
        "ip_address": event.ip_address,
    }
    return {name: shown(value) or None for name, value in found.items()} if any(found.values()) else None


def _issue_fields(group: GroupSummary, project: ProjectEntry, url: str) -> dict[str, Any]:
    event = group.latest
    title = shown(event.title, MAX_TITLE_CHARS) if event is not None else ""
    platform = (event.platform if event is not None else "") or "other"
    return {
        "id": str(group.group_id),
        "short_id": encode_short_id(project.slug, group.group_id),
        "title": title or "<unlabeled event>",
        "culprit": shown(event.culprit, MAX_TITLE_CHARS) if event is not None else "",
        "permalink": f"{url}/organizations/{quote(project.organization.slug)}/issues/{group.group_id}/",
        "level": (event.level if event is not None else "") or "error",
        "status": group.status.value,
        "substatus": group.substatus or _SUBSTATUS[group.status],
        "platform": platform,
        "project": ProjectSummaryJson(id=str(project.id), slug=project.slug, name=project.slug, platform=platform),
        "type": (event.type if event is not None else "") or "error",
        "metadata": metadata(event) if event is not None else {"title": title},
        "count": str(group.count),
        "user_count": group.users,
        "first_seen": iso(group.first_seen),
        "last_seen": iso(group.last_seen),
        "lifetime": {
            "count": str(group.lifetime_count),
            "userCount": group.lifetime_users,
            "firstSeen": iso(group.first_seen),
            "lastSeen": iso(group.lifetime_last_seen),
        },
        "is_unhandled": event is not None and event.is_handled is False,
        "logger": (event.logger or None) if event is not None else None,
    }
