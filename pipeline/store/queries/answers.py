"""What queries return: rows with types."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pipeline.store.queries.filters import Status


class EventSummary(NamedTuple):
    """An event without its body. Texts are "" where there is none; times are UTC; `event_id` has 32 hexadecimal digits."""

    event_id: str
    project_id: int
    group_id: int
    """The group that the event belongs to now."""
    stored_group: int
    """The group that it is stored with."""
    timestamp: datetime
    received: datetime
    type: str
    title: str
    culprit: str
    message: str
    location: str
    platform: str
    level: str
    environment: str
    release: str
    dist: str
    transaction: str
    logger: str
    user: str
    user_id: str
    user_email: str
    user_name: str
    ip_address: str
    exception_types: tuple[str, ...]
    exception_values: tuple[str, ...]
    filename: str
    function: str
    is_handled: bool | None
    tags: tuple[tuple[str, str], ...]


EVENT_COLUMNS = (
    "event_id",
    "project_id",
    "group_id",
    "timestamp",
    "received",
    "type",
    "title",
    "culprit",
    "message",
    "location",
    "platform",
    "level",
    "environment",
    "release",
    "dist",
    "transaction",
    "logger",
    "`user`",
    "user_id",
    "user_email",
    "user_name",
    "ip_address",
    "exception_types",
    "exception_values",
    "frame_filenames",
    "frame_functions",
    "frame_in_app",
    "mechanism_handled",
    "tag_keys",
    "tag_values",
)
"""The columns that `event_summary` reads, in the order of its row; then comes `group`."""


def event_summary(row: tuple[Any, ...]) -> EventSummary:
    """Return an event of a row of EVENT_COLUMNS and `group`."""
    event_id, project_id, stored_group, timestamp, received, *texts = row[:22]
    types, values, filenames, functions, in_app, handled, keys, tag_values, group_id = row[22:]
    crash = next((number for number in reversed(range(len(in_app))) if in_app[number]), len(in_app) - 1)
    return EventSummary._make(
        (
            event_id.hex,
            project_id,
            group_id,
            stored_group,
            utc(timestamp),
            utc(received),
            *texts,
            tuple(types),
            tuple(values),
            filenames[crash] if filenames else "",
            functions[crash] if functions else "",
            next((bool(flag) for flag in reversed(handled) if flag is not None), None),
            tuple(zip(keys, tag_values, strict=True)),
        )
    )


@dataclass(frozen=True, slots=True)
class GroupSummary:
    """A group. `count`, `users` and `last_seen` are of the time and the filters that were asked for."""

    project_id: int
    group_id: int
    count: int
    users: int
    last_seen: datetime
    first_seen: datetime
    """Over all time, as are `lifetime_count` and `lifetime_users`."""
    lifetime_count: int
    lifetime_users: int
    lifetime_last_seen: datetime
    status: Status
    substatus: str
    latest: EventSummary | None
    """The newest event of all; None if it was removed just now."""


@dataclass(frozen=True, slots=True)
class TagValue:
    """A value of a tag with the number of events that have it."""

    value: str
    count: int
    first_seen: datetime
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class TagFacet:
    """A tag: how many events have it, how many values it has, and some of them."""

    key: str
    count: int
    distinct: int
    top: tuple[TagValue, ...]


@dataclass(frozen=True, slots=True)
class TimeBucket:
    """A span of time, which begins at `start` in epoch seconds."""

    start: int
    count: int
    users: int


@dataclass(frozen=True, slots=True)
class ReleaseSummary:
    """A release of a project as its events show it."""

    project_id: int
    version: str
    count: int
    groups: int
    first_seen: datetime
    last_seen: datetime


class OutcomeTotal(NamedTuple):
    """Outcomes that are alike. `keys` are in the order in which they were asked for; `start` is None without spans of time."""

    start: int | None
    keys: tuple[int | str, ...]
    quantity: int
    number: int


def utc(at: datetime) -> datetime:
    """Return a time of ClickHouse's with its zone."""
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
