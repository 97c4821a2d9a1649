"""Typed conditions on events and groups. They know no SQL; `sql.py` writes it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from pipeline.store.queries.fields import AnyField, EventField


class Relation(StrEnum):
    """How a number or a time is compared."""

    EQUAL = "="
    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="


class Status(StrEnum):
    """What a person or the store decided about a group."""

    UNRESOLVED = "unresolved"
    RESOLVED = "resolved"
    IGNORED = "ignored"


class Total(StrEnum):
    """A number or a time that a group has as a whole."""

    TIMES_SEEN = "timesSeen"
    USER_COUNT = "userCount"
    FIRST_SEEN = "firstSeen"
    LAST_SEEN = "lastSeen"


class TextPattern(NamedTuple):
    """A text with wildcards: these pieces in this order, anything between them. Upper and lower case are the same."""

    pieces: tuple[str, ...]


class Matches(NamedTuple):
    """Whether a text field equals one of the values or fits one of the patterns. An empty value means that there is none."""

    field: AnyField
    values: tuple[str | TextPattern, ...]
    is_negated: bool = False


class Has(NamedTuple):
    """Whether an event has a value there."""

    field: AnyField
    is_negated: bool = False


class Compares(NamedTuple):
    """A condition on a number, a time or a flag."""

    field: EventField
    relation: Relation
    value: float | datetime | bool
    is_negated: bool = False


class Contains(NamedTuple):
    """Whether title or message contain these pieces in this order. Upper and lower case are the same."""

    pieces: tuple[str, ...]
    is_negated: bool = False


class AtTimes(NamedTuple):
    """Whether an event happened at one of these times, to the millisecond."""

    times: tuple[datetime, ...]
    is_negated: bool = False


class HasStatus(NamedTuple):
    """Whether the event's group has one of these statuses."""

    statuses: tuple[Status, ...]
    is_negated: bool = False


class InGroups(NamedTuple):
    """Whether the event belongs to one of these groups."""

    groups: tuple[int, ...]
    is_negated: bool = False


class TotalIs(NamedTuple):
    """A condition on a group as a whole."""

    total: Total
    relation: Relation
    value: float | datetime
    is_negated: bool = False


class FirstRelease(NamedTuple):
    """Whether the group was first seen in one of these releases."""

    releases: tuple[str | TextPattern, ...]
    is_negated: bool = False


EventFilter = Matches | Has | Compares | Contains | AtTimes
"""Conditions on an event by itself."""
GroupFilter = InGroups | HasStatus | TotalIs | FirstRelease
"""Conditions on the group that an event belongs to now."""
Filter = EventFilter | GroupFilter
