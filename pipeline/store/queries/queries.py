"""The store's queries: each method answers one kind of question, within limits of time, memory and rows.

A method reads at one moment what is stored; two calls may see different events. Raises AwayError if ClickHouse does not answer,
TooExpensiveError if a query went over its limits. This file is long because it has a method for each kind of question.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import orjson
from cachetools import TTLCache

from pipeline.clickhouse.client import Client, Rows
from pipeline.store.columns import NIL
from pipeline.store.queries.answers import (
    EVENT_COLUMNS,
    EventSummary,
    GroupSummary,
    OutcomeTotal,
    ReleaseSummary,
    TagFacet,
    TagValue,
    TimeBucket,
    event_summary,
    utc,
)
from pipeline.store.queries.fields import FIELDS, AnyField
from pipeline.store.queries.filters import AtTimes, Filter, InGroups, Matches, Status
from pipeline.store.queries.question import (
    COUNT,
    EARLIEST,
    LATEST,
    USERS,
    AnyKey,
    EventQuestion,
    Extent,
    FacetQuestion,
    GroupKey,
    ListQuestion,
    Measure,
    MeasureKind,
    OutcomeQuestion,
    SortBy,
    TimeKey,
)
from pipeline.store.queries.sql import FIRST, Overrides, Statement, ask_events, ask_list
from pipeline.store.queries.sql_facets import ask_facets, ask_outcomes, ask_tag_values

MAX_PROJECTS = 1_000
OVERRIDES_KEPT_S = 1.0
"""A merge, an unmerge or a deletion is seen at most this much later."""
MAX_BUCKETS = 10_000
FOREVER = timedelta(days=36_500)

_PER_GROUP: tuple[AnyKey, ...] = (GroupKey.PROJECT, GroupKey.GROUP)
_GROUP_MEASURES = (COUNT, USERS, EARLIEST, LATEST)


class QueryLimits(NamedTuple):
    """What one query may cost. More raises TooExpensiveError."""

    seconds: int = 10
    memory_bytes: int = 1_500_000_000
    rows: int = 50_000
    """Of the answer."""
    rows_read: int = 2_000_000_000

    def settings(self) -> dict[str, str | int]:
        """Return ClickHouse's settings for these limits."""
        return {
            "max_execution_time": self.seconds,
            "max_memory_usage": self.memory_bytes,
            "max_result_rows": self.rows,
            "max_rows_to_read": self.rows_read,
            "result_overflow_mode": "throw",
            "timeout_overflow_mode": "throw",
        }


class Queries:
    """Asks the tables of the store. Thread-safe, as its client is."""

    def __init__(self, client: Client, limits: QueryLimits | None = None) -> None:
        self._client = client
        self._settings = (limits or QueryLimits()).settings()
        self._known_overrides: TTLCache[tuple[int, ...], Overrides] = TTLCache(1_000, OVERRIDES_KEPT_S)
        self._lock = threading.Lock()

    def table(self, question: EventQuestion) -> list[dict[str, Any]]:
        """Return the measures of each combination of keys, under `key0`, `key1`, ... and the measures' names."""
        return self._ask(ask_events(question, self._overrides(question.extent))).dicts()

    def groups(
        self, extent: Extent, filters: tuple[Filter, ...], order: str = "latest", limit: int = 25, offset: int = 0
    ) -> list[GroupSummary]:
        """Return groups with events that fit, ordered by `latest`, `first_seen`, `count` or `users`, the largest first."""
        orders = (SortBy(order), SortBy("latest"), SortBy("key1"))
        has_lifetime = order == "first_seen"
        question = EventQuestion(extent, _PER_GROUP, _GROUP_MEASURES, filters, orders, limit, offset, has_lifetime)
        return self._summaries(extent, self.table(question))

    def group(self, projects: tuple[int, ...], group_id: int, now: datetime) -> GroupSummary | None:
        """Return a group over all time; None if no event of it is stored."""
        extent = forever(projects, now)
        found = self.table(EventQuestion(extent, _PER_GROUP, _GROUP_MEASURES, (InGroups((group_id,)),), limit=1))
        return next(iter(self._summaries(extent, found)), None)

    def merged_into(self, projects: tuple[int, ...], group_id: int) -> int | None:
        """Return the group that a group was merged into; None if it was not."""
        sql = (
            "SELECT argMax(into_group, changed_at) AS into FROM group_overrides "
            "WHERE project_id IN {projects:Array(UInt64)} AND group_id = {group:UInt64} AND primary_hash = {nil:UUID} "
            "GROUP BY project_id, group_id"
        )
        found = self._ask(Statement(sql, {"projects": list(projects), "group": group_id, "nil": NIL})).rows
        return next((int(into) for (into,) in found if into not in {0, group_id}), None)

    def series(
        self, extent: Extent, seconds: int, filters: tuple[Filter, ...] = (), *, has_users: bool = False
    ) -> list[TimeBucket]:
        """Return the number of events in each span of time, those without events too."""
        _check_buckets(extent, seconds)
        measures = (COUNT, USERS) if has_users else (COUNT,)
        found = self.table(EventQuestion(extent, (TimeKey(seconds),), measures, filters, limit=MAX_BUCKETS + 1))
        counts = {row["key0"]: TimeBucket(row["key0"], row["count"], row.get("users", 0)) for row in found}
        return [counts.get(start, TimeBucket(start, 0, 0)) for start in bucket_starts(extent, seconds)]

    def top_series(
        self, extent: Extent, seconds: int, key: AnyField, filters: tuple[Filter, ...] = (), top: int = 5
    ) -> dict[Any, list[TimeBucket]]:
        """Return a series for each of the commonest values of a field, the commonest first."""
        _check_buckets(extent, seconds)
        order = (SortBy("count"), SortBy("key0", is_descending=False))
        found = self.table(EventQuestion(extent, (key,), (COUNT,), filters, order, top))
        values = [row["key0"] for row in found]
        question = EventQuestion(extent, (key, TimeKey(seconds)), (COUNT,), filters, limit=MAX_BUCKETS * 5)
        rows = self.table(question._replace(first_key_in=tuple(values)))
        counts = {(row["key0"], row["key1"]): row["count"] for row in rows}
        starts = bucket_starts(extent, seconds)
        return {value: [TimeBucket(start, counts.get((value, start), 0), 0) for start in starts] for value in values}

    def group_series(self, extent: Extent, seconds: int, groups: tuple[int, ...]) -> dict[int, list[TimeBucket]]:
        """Return a series for each of some groups."""
        _check_buckets(extent, seconds)
        keys = (GroupKey.GROUP, TimeKey(seconds))
        found = self.table(EventQuestion(extent, keys, (COUNT,), (InGroups(groups),), limit=MAX_BUCKETS * 5)) if groups else []
        counts = {(row["key0"], row["key1"]): row["count"] for row in found}
        starts = bucket_starts(extent, seconds)
        return {group: [TimeBucket(start, counts.get((group, start), 0), 0) for start in starts] for group in groups}

    def events(
        self, extent: Extent, filters: tuple[Filter, ...] = (), limit: int = 100, offset: int = 0, *, is_newest_first: bool = True
    ) -> list[EventSummary]:
        """Return events, by default the newest first."""
        return self._events(ListQuestion(extent, filters, is_newest_first, limit, offset))

    def neighbour(self, event: EventSummary, now: datetime, *, is_newer: bool) -> EventSummary | None:
        """Return the next newer or older event of an event's group."""
        after = (event.timestamp, str(uuid.UUID(event.event_id)))
        whole = forever((event.project_id,), now)
        if is_newer:
            extent = whole._replace(start=event.timestamp)
        else:
            extent = whole._replace(end=event.timestamp + timedelta(milliseconds=1))
        found = self._events(ListQuestion(extent, (InGroups((event.group_id,)),), not is_newer, 1, 0, after))
        return next(iter(found), None)

    def event(self, projects: tuple[int, ...], event_id: str, now: datetime) -> EventSummary | None:
        """Return an event by its id of 32 hexadecimal digits; None if none is stored in these projects."""
        filters = (Matches(FIELDS["id"], (event_id,)),)
        return next(iter(self.events(forever(projects, now), filters, 1)), None)

    def body(self, event: EventSummary) -> dict[str, Any] | None:
        """Return the whole event as it was stored; None if its body is gone."""
        sql = (
            "SELECT body FROM event_bodies WHERE project_id = {project:UInt64} AND group_id = {group:UInt64} "
            "AND timestamp = {at:DateTime64(3, 'UTC')} AND event_id = {id:UUID} LIMIT 1"
        )
        at = event.timestamp.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        id_ = str(uuid.UUID(event.event_id))
        parameters = {"project": event.project_id, "group": event.stored_group, "at": at, "id": id_}
        found = self._ask(Statement(sql, parameters)).rows
        if not found:
            return None
        body = orjson.loads(found[0][0])
        return body if isinstance(body, dict) else None

    def facets(self, question: FacetQuestion) -> list[TagFacet]:
        """Return all tags with their commonest values, the commonest tag first."""
        found = self._ask(ask_facets(question, self._overrides(question.extent))).rows
        return [TagFacet(key, total, distinct, tuple(map(_top_value, top))) for key, total, distinct, top in found]

    def tag(self, question: FacetQuestion) -> TagFacet:
        """Return one tag with values, the commonest first; with none if no event has it."""
        found = self._ask(ask_tag_values(question, self._overrides(question.extent))).rows
        top = tuple(TagValue(value, events, utc(first), utc(last)) for value, events, first, last, _, _ in found)
        total, distinct = found[0][4:6] if found else (0, 0)
        return TagFacet(question.key or "", total, distinct, top)

    def releases(self, extent: Extent, filters: tuple[Filter, ...] = (), limit: int = 100) -> list[ReleaseSummary]:
        """Return the releases that have events, the one that was seen last first."""
        groups = Measure("groups", MeasureKind.UNIQUE, FIELDS["issue.id"])
        measures = (COUNT, EARLIEST, LATEST, groups)
        question = EventQuestion(extent, (GroupKey.PROJECT, FIELDS["release"]), measures, filters, (SortBy("latest"),), limit + 1)
        return [
            ReleaseSummary(row["key0"], row["key1"], row["count"], row["groups"], utc(row["earliest"]), utc(row["latest"]))
            for row in self.table(question)
            if row["key1"]
        ][:limit]

    def projects(self) -> list[int]:
        """Return the projects of which events are stored."""
        sql = "SELECT DISTINCT project_id FROM group_hours ORDER BY project_id LIMIT {most:UInt64}"
        return [int(project_id) for (project_id,) in self._ask(Statement(sql, {"most": MAX_PROJECTS})).rows]

    def outcomes(self, question: OutcomeQuestion) -> list[OutcomeTotal]:
        """Return quantities of outcomes, in the order of spans of time and keys."""
        has_time = question.seconds is not None
        return [
            OutcomeTotal(row[0] if has_time else None, tuple(row[has_time:-2]), row[-2], row[-1])
            for row in self._ask(ask_outcomes(question)).rows
        ]

    def statuses(self, groups: Iterable[tuple[int, int]]) -> dict[tuple[int, int], tuple[Status, str]]:
        """Return status and substatus of groups, which are named by project and group; those without a row are left out."""
        wanted = list(groups)
        sql = (
            "SELECT project_id, group_id, toString(argMax(status, changed_at)), argMax(substatus, changed_at) FROM group_status "
            "WHERE project_id IN {projects:Array(UInt64)} AND group_id IN {groups:Array(UInt64)} GROUP BY project_id, group_id"
        )
        parameters = {"projects": sorted({project for project, _ in wanted}), "groups": sorted({group for _, group in wanted})}
        found = self._ask(Statement(sql, parameters)).rows if wanted else []
        return {(project, group): (Status(status), substatus) for project, group, status, substatus in found}

    def set_status(self, groups: Iterable[tuple[int, int]], status: Status, substatus: str, now: datetime) -> None:
        """Write the status of groups, which are named by project and group."""
        changed_at = now.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
        rows = [
            {"project_id": project, "group_id": group, "status": status.value, "substatus": substatus, "changed_at": changed_at}
            for project, group in groups
        ]
        self._client.insert("group_status", b"\n".join(map(orjson.dumps, rows)), f"api-{uuid.uuid4()}")

    def _summaries(self, extent: Extent, rows: Sequence[Mapping[str, Any]]) -> list[GroupSummary]:
        """Return groups with what they are over all time, their status and their newest event."""
        groups = tuple(row["key1"] for row in rows)
        if not groups:
            return []
        projects = tuple(sorted({row["key0"] for row in rows}))
        whole = forever(projects, extent.end)
        lifetimes = {
            (row["key0"], row["key1"]): row
            for row in self.table(EventQuestion(whole, _PER_GROUP, _GROUP_MEASURES, (InGroups(groups),), limit=len(rows) * 10))
        }
        statuses = self.statuses(lifetimes)
        latest: dict[tuple[int, int], EventSummary] = {}
        times = tuple(sorted({utc(row["latest"]) for row in lifetimes.values()}))
        for event in self._events(ListQuestion(whole, (InGroups(groups), AtTimes(times)), limit=max(100, len(rows) * 10))):
            latest.setdefault((event.project_id, event.group_id), event)
        summaries = []
        for row in rows:
            key = (row["key0"], row["key1"])
            lifetime = lifetimes.get(key, row)
            status, substatus = statuses.get(key, (Status.UNRESOLVED, ""))
            summaries.append(
                GroupSummary(
                    *key,
                    row["count"],
                    row["users"],
                    utc(row["latest"]),
                    utc(lifetime["earliest"]),
                    lifetime["count"],
                    lifetime["users"],
                    utc(lifetime["latest"]),
                    status,
                    substatus,
                    latest.get(key),
                )
            )
        return summaries

    def _events(self, question: ListQuestion) -> list[EventSummary]:
        found = self._ask(ask_list(question, EVENT_COLUMNS, self._overrides(question.extent)))
        return [event_summary(row) for row in found.rows]

    def _overrides(self, extent: Extent) -> Overrides:
        """Return which kinds of overrides the projects have, as of the last second."""
        with self._lock:
            known = self._known_overrides.get(extent.projects)
        if known is None:
            known = self._find_overrides(extent)
            with self._lock:
                self._known_overrides[extent.projects] = known
        return known

    def _find_overrides(self, extent: Extent) -> Overrides:
        parameters = {"projects": list(extent.projects)}
        mine = "WHERE project_id IN {projects:Array(UInt64)}"
        sql = (
            f"SELECT (SELECT count() FROM group_overrides {mine}), "  # noqa: S608 -- nothing comes from outside
            f"(SELECT countIf(deleted_until > toDateTime64(0, 3)) FROM group_overrides {mine}), "
            f"(SELECT count() FROM event_overrides {mine})"
        )
        [(groups, deletions, events)] = self._ask(Statement(sql, parameters)).rows
        return Overrides(
            has_groups=groups > 0,
            has_events=events > 0,
            has_deletions=deletions > 0,
            is_split=deletions > 0 and self._has_split(parameters),
        )

    def _has_split(self, parameters: dict[str, Any]) -> bool:
        """Whether a deleted group has events from after its deletion."""
        sql = (
            "SELECT count() FROM group_hours AS hours INNER JOIN "
            "(SELECT project_id, group_id, max(deleted_until) AS until FROM group_overrides "
            "WHERE project_id IN {projects:Array(UInt64)} GROUP BY project_id, group_id) AS deleted "
            "ON hours.project_id = deleted.project_id AND hours.group_id = deleted.group_id "
            "WHERE hours.project_id IN {projects:Array(UInt64)} "
            "AND hours.group_id IN (SELECT group_id FROM group_overrides WHERE project_id IN {projects:Array(UInt64)}) "
            "AND until > toDateTime64(0, 3) AND last_received > until"
        )
        return bool(self._ask(Statement(sql, parameters)).rows[0][0])

    def _ask(self, statement: Statement) -> Rows:
        return self._client.query(statement.sql, statement.parameters, self._settings)


def _top_value(found: tuple[int, str, datetime, datetime]) -> TagValue:
    less, value, first, last = found
    return TagValue(value, -less, utc(first), utc(last))


class TooManyBucketsError(Exception):
    """A series would have more than MAX_BUCKETS spans of time."""


def forever(projects: tuple[int, ...], now: datetime) -> Extent:
    """Return all time that is kept, and a century for clocks that are ahead."""
    hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return Extent(projects, FIRST, hour + FOREVER)


def bucket_starts(extent: Extent, seconds: int) -> list[int]:
    """Return the beginnings of the spans of time that an extent touches, in epoch seconds."""
    first = int(extent.start.timestamp()) // seconds * seconds
    return list(range(first, -(-int(extent.end.timestamp() * 1e3) // 1000), seconds))


def _check_buckets(extent: Extent, seconds: int) -> None:
    if seconds <= 0 or (extent.end - extent.start).total_seconds() / seconds > MAX_BUCKETS:
        raise TooManyBucketsError
