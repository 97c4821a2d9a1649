"""What the API answers, as Sentry's clients read it. Fields that they need but that are not kept here have fixed values."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec


class Json(msgspec.Struct, rename="camel", frozen=True):
    """An object of an answer. Names are in camel case there."""


class StatusJson(Json, frozen=True, kw_only=True):
    """The state of an organization."""

    id: str = "active"
    name: str = "active"


class OrganizationJson(Json, frozen=True, kw_only=True):
    """An organization."""

    id: str
    slug: str
    name: str
    links: dict[str, str]
    status: StatusJson = StatusJson()
    date_created: str = "2020-01-01T00:00:00Z"
    is_early_adopter: bool = False
    require_2fa: bool = msgspec.field(name="require2FA", default=False)
    avatar: dict[str, Any] = msgspec.field(default_factory=lambda: {"avatarType": "letter_avatar", "avatarUuid": None})
    features: tuple[str, ...] = ()
    has_auth_provider: bool = False


class ProjectSummaryJson(Json, frozen=True, kw_only=True):
    """A project inside an issue."""

    id: str
    slug: str
    name: str
    platform: str


class ProjectJson(Json, frozen=True, kw_only=True):
    """A project."""

    id: str
    slug: str
    name: str
    platform: str | None
    organization: OrganizationJson
    date_created: str = "2020-01-01T00:00:00Z"
    first_event: str | None = None
    status: str = "active"
    is_bookmarked: bool = False
    is_member: bool = True
    has_access: bool = True
    is_public: bool = False
    is_internal: bool = False
    color: str = "#3f70bf"
    features: tuple[str, ...] = ()
    team: dict[str, Any] | None = None
    teams: tuple[dict[str, Any], ...] = ()
    access: tuple[str, ...] = ("project:read", "event:read", "event:write", "project:releases")
    environments: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()


class IssueJson(Json, frozen=True, kw_only=True):
    """A group. `count` is a text, as Sentry has it."""

    id: str
    short_id: str
    title: str
    culprit: str
    permalink: str
    level: str
    status: str
    substatus: str | None
    status_details: dict[str, Any] = {}
    platform: str
    project: ProjectSummaryJson
    type: str
    metadata: dict[str, Any]
    count: str
    user_count: int
    first_seen: str
    last_seen: str
    lifetime: dict[str, Any]
    stats: dict[str, list[tuple[int, int]]] = {}
    is_unhandled: bool = False
    issue_type: str = "error"
    issue_category: str = "error"
    priority: str = "medium"
    priority_locked_at: str | None = None
    num_comments: int = 0
    assigned_to: None = None
    is_bookmarked: bool = False
    is_subscribed: bool = False
    is_public: bool = False
    has_seen: bool = True
    logger: str | None = None
    share_id: None = None
    subscription_details: None = None
    annotations: tuple[str, ...] = ()
    filtered: None = None


class IssueDetailJson(IssueJson, frozen=True, kw_only=True):
    """A group with what only its own page shows."""

    first_release: dict[str, Any] | None
    last_release: dict[str, Any] | None
    tags: tuple[dict[str, Any], ...]
    user_report_count: int = 0
    activity: tuple[dict[str, Any], ...] = ()
    participants: tuple[dict[str, Any], ...] = ()
    seen_by: tuple[dict[str, Any], ...] = ()
    plugin_issues: tuple[dict[str, Any], ...] = ()
    plugin_actions: tuple[dict[str, Any], ...] = ()
    plugin_contexts: tuple[dict[str, Any], ...] = ()


class TagJson(Json, frozen=True, kw_only=True):
    """A tag of an event."""

    key: str
    value: str


class EventJson(Json, frozen=True, kw_only=True):
    """An event in a list."""

    id: str
    event_id: str = msgspec.field(name="eventID")
    group_id: str = msgspec.field(name="groupID")
    project_id: str = msgspec.field(name="projectID")
    type: str = msgspec.field(name="event.type")
    title: str
    message: str
    culprit: str
    location: str | None
    platform: str
    level: str
    date_created: str
    date_received: str
    tags: tuple[TagJson, ...]
    user: dict[str, Any] | None
    metadata: dict[str, Any]
    crash_file: None = None


class EventDetailJson(EventJson, frozen=True, kw_only=True):
    """An event with all that it holds. `entries` are exception, message, breadcrumbs, request and threads, where it has them."""

    kind: str = msgspec.field(name="type")
    entries: tuple[dict[str, Any], ...]
    contexts: dict[str, Any]
    context: dict[str, Any]
    sdk: dict[str, Any] | None
    dist: str | None
    release: dict[str, Any] | None
    errors: tuple[dict[str, Any], ...]
    fingerprints: tuple[str, ...]
    packages: dict[str, Any]
    grouping_config: dict[str, Any]
    meta: dict[str, Any] = msgspec.field(name="_meta", default={})
    size: int
    next_event_id: str | None = msgspec.field(name="nextEventID", default=None)
    previous_event_id: str | None = msgspec.field(name="previousEventID", default=None)
    occurrence: None = None
    user_report: None = None
    sdk_updates: tuple[str, ...] = ()


class TagValueJson(Json, frozen=True, kw_only=True):
    """A value of a tag."""

    key: str
    name: str
    value: str
    count: int
    first_seen: str
    last_seen: str


class TagKeyJson(Json, frozen=True, kw_only=True):
    """A tag with its commonest values."""

    key: str
    name: str
    total_values: int
    unique_values: int
    top_values: tuple[TagValueJson, ...] = ()


def iso(at: datetime) -> str:
    """Return a time as Sentry prints it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
