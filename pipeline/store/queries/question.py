"""What is asked of the events: what to count, over which time, filtered and grouped by what. It knows no SQL."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from pipeline.store.queries.fields import FIELDS, AnyField
from pipeline.store.queries.filters import Filter


class Extent(NamedTuple):
    """The projects and the time that are looked at: from `start` up to but without `end`, both in UTC."""

    projects: tuple[int, ...]
    start: datetime
    end: datetime


class MeasureKind(StrEnum):
    """What is computed over events."""

    COUNT = "count"
    UNIQUE = "unique"
    """How many different values a field has, leaving out "none". Exact up to 65,536 values, then within one percent."""
    EARLIEST = "earliest"
    LATEST = "latest"
    """The time of the first or the last event."""


class Measure(NamedTuple):
    """A number or a time that is computed over events. `field` is what UNIQUE counts."""

    name: str
    kind: MeasureKind
    field: AnyField | None = None


COUNT = Measure("count", MeasureKind.COUNT)
USERS = Measure("users", MeasureKind.UNIQUE, FIELDS["user"])
EARLIEST = Measure("earliest", MeasureKind.EARLIEST)
LATEST = Measure("latest", MeasureKind.LATEST)


class GroupKey(StrEnum):
    """What events are grouped by besides their fields."""

    PROJECT = "project_id"
    GROUP = "group"
    """The group that an event belongs to now, after merges."""


class TimeKey(NamedTuple):
    """Groups by spans of time, which begin at whole multiples of `seconds` since 1970."""

    seconds: int


AnyKey = GroupKey | TimeKey | AnyField


class SortBy(NamedTuple):
    """Sorts by a measure's name, or by a key's place such as `key0`."""

    name: str
    is_descending: bool = True


class EventQuestion(NamedTuple):
    """Measures over events, for each combination of the keys. Fields with several values count an event under each of them."""

    extent: Extent
    keys: tuple[AnyKey, ...] = ()
    measures: tuple[Measure, ...] = (COUNT,)
    filters: tuple[Filter, ...] = ()
    order: tuple[SortBy, ...] = ()
    limit: int = 100
    offset: int = 0
    has_lifetime: bool = False
    """Adds `first_seen` of each group over all time; the keys must be project and group."""
    first_key_in: tuple[str | int, ...] | None = None
    """Only these values of the first key are looked at."""


class ListQuestion(NamedTuple):
    """Single events, newest or oldest first. `after` is the time and id of an event; only later or earlier ones are listed."""

    extent: Extent
    filters: tuple[Filter, ...] = ()
    is_newest_first: bool = True
    limit: int = 100
    offset: int = 0
    after: tuple[datetime, str] | None = None


class FacetQuestion(NamedTuple):
    """Tags with their counts. `key` asks for the values of one tag, else all tags are listed with `values` of each.

    `containing` and `is_newest_first` are for completing what somebody types.
    """

    extent: Extent
    filters: tuple[Filter, ...] = ()
    key: str | None = None
    values: int = 10
    limit: int = 1_000
    offset: int = 0
    containing: str = ""
    is_newest_first: bool = False


class OutcomeField(StrEnum):
    """What outcomes are grouped by."""

    PROJECT = "project_id"
    KEY = "key_id"
    OUTCOME = "outcome"
    REASON = "reason"
    CATEGORY = "category"


class OutcomeQuestion(NamedTuple):
    """A question about outcomes: their quantity and number, by `keys` and by time.

    Empty `projects` means all of the organization.
    """

    organization: int
    start: datetime
    end: datetime
    projects: tuple[int, ...] = ()
    keys: tuple[OutcomeField, ...] = (OutcomeField.OUTCOME,)
    seconds: int | None = None
    """If set, results are also grouped by spans of so many seconds."""
    categories: tuple[int, ...] = ()
    outcomes: tuple[int, ...] = ()
    reasons: tuple[str, ...] = ()
    key_ids: tuple[int, ...] = ()
