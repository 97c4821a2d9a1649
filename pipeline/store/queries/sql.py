"""Questions about events as SQL: the one place that writes it, next to sql_conditions.py and sql_columns.py.

    inner    rows of `events` or of the roll-up, of the asked projects and time, that fit the filters
    placed   the same with `group`: the group that a row belongs to now, after merges and deletions; deleted rows are gone
    outer    the measures for each combination of the keys

This file is long because one class writes one statement, whose parts share the bound parameters.

The roll-up `group_hours` answers where it can: whole hours, no filter on single events, keys and measures that it holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeGuard

from pipeline.store.columns import NIL
from pipeline.store.queries.fields import FIELDS
from pipeline.store.queries.filters import (
    EventFilter,
    Filter,
    FirstRelease,
    GroupFilter,
    HasStatus,
    InGroups,
    Status,
    TextPattern,
    Total,
    TotalIs,
)
from pipeline.store.queries.question import (
    EventQuestion,
    Extent,
    GroupKey,
    ListQuestion,
    Measure,
    MeasureKind,
    TimeKey,
)
from pipeline.store.queries.sql_columns import key_value, measure_aggregate, measure_argument, outer_key
from pipeline.store.queries.sql_conditions import Parameters, condition, like, relation

HOUR_S = 3_600
FIRST = datetime(1970, 1, 1, tzinfo=UTC)


class Overrides(NamedTuple):
    """What kinds of overrides the asked projects have. Without any, statements are simpler and quicker."""

    has_groups: bool = False
    has_events: bool = False
    has_deletions: bool = False
    is_split: bool = False
    """Whether a deleted group has events from after its deletion, so that its roll-up does not tell which are left."""

    @property
    def has_any(self) -> bool:
        """Whether events may belong to another group than the one they are stored with."""
        return self.has_groups or self.has_events


class Statement(NamedTuple):
    """SQL with its bound parameters."""

    sql: str
    parameters: dict[str, Any]


class RowSource(NamedTuple):
    """What rows come from: a table and its columns of times."""

    table: str
    time: str
    received: str


EVENTS = RowSource("events", "timestamp", "received")
HOURS = RowSource("group_hours", "hour", "last_received")


def ask_events(question: EventQuestion, overrides: Overrides) -> Statement:
    """Return the statement for measures over events. Columns: key0, key1, ..., then the measures by name."""
    return StatementWriter(overrides).events(question)


def ask_list(question: ListQuestion, columns: Iterable[str], overrides: Overrides) -> Statement:
    """Return the statement for single events. Columns: those asked for, then `group`."""
    return StatementWriter(overrides).single_events(question, columns)


def uses_rollup(question: EventQuestion, overrides: Overrides) -> bool:
    """Whether the roll-up answers a question as exactly as the events do."""
    extent = question.extent
    return (
        not overrides.is_split
        and not overrides.has_events
        and all(at.timestamp() % HOUR_S == 0 for at in (extent.start, extent.end))
        and all(isinstance(one, GroupFilter) for one in question.filters)
        and all(isinstance(key, GroupKey) or (isinstance(key, TimeKey) and key.seconds % HOUR_S == 0) for key in question.keys)
        and all(measure.kind is not MeasureKind.UNIQUE or measure.field == FIELDS["user"] for measure in question.measures)
    )


class StatementWriter:
    """Writes one statement, with the parameters of all its parts."""

    def __init__(self, overrides: Overrides) -> None:
        self._overrides = overrides
        self.parameters = Parameters()

    def events(self, question: EventQuestion) -> Statement:
        """Return the statement for measures."""
        is_grouped = set(question.keys) == {GroupKey.PROJECT, GroupKey.GROUP}
        totals = [one for one in question.filters if isinstance(one, TotalIs) and one.total is not Total.FIRST_SEEN]
        source = HOURS if uses_rollup(question, self._overrides) else EVENTS
        needed = [*question.measures, *(_TOTAL_MEASURES[one.total] for one in totals if is_grouped)]
        measures = list({measure.name: measure for measure in needed}.values())
        is_rollup = source is HOURS
        values = [key_value(key, f"k{number}", source.time, self.parameters) for number, key in enumerate(question.keys)]
        values += self._arguments(measures, source)
        filters = [one for one in question.filters if not (is_grouped and one in totals)]
        placed = self.placed(source, question.extent, filters, [value for value in values if value is not None])
        keys = [outer_key(key, f"k{number}") for number, key in enumerate(question.keys)]
        columns = [f"{key} AS key{number}" for number, key in enumerate(keys)]
        columns += [
            f"{measure_aggregate(one, f'm{number}', is_rollup=is_rollup)} AS `{one.name}`" for number, one in enumerate(measures)
        ]
        sql = f"SELECT {', '.join(columns)} FROM ({placed})"
        if question.first_key_in is not None:
            texts = [str(value) for value in question.first_key_in]
            sql += f" WHERE toString({keys[0]}) IN {self.parameters.bind(texts, 'Array(String)')}"
        if question.keys:
            sql += f" GROUP BY {', '.join(f'key{number}' for number in range(len(keys)))}"
        if is_grouped and totals:
            sql += f" HAVING {' AND '.join(self._total(one, f'`{_TOTAL_MEASURES[one.total].name}`') for one in totals)}"
        if question.has_lifetime:
            sql = self._with_first_seen(sql, question, keys)
        return self._limited(sql, [f"{one.name}{' DESC' if one.is_descending else ''}" for one in question.order], question)

    def single_events(self, question: ListQuestion, columns: Iterable[str]) -> Statement:
        """Return the statement for single events."""
        names = list(columns)
        placed = self.placed(EVENTS, question.extent, question.filters, [f"{name} AS {name}" for name in names])
        sql = f"SELECT {', '.join(names)}, `group` FROM ({placed})"
        if question.after is not None:
            at, event_id = question.after
            sign = "<" if question.is_newest_first else ">"
            sql += f" WHERE (timestamp, event_id) {sign} ({self.parameters.time(at)}, {self.parameters.bind(event_id, 'UUID')})"
        direction = " DESC" if question.is_newest_first else ""
        return self._limited(sql, [f"timestamp{direction}", f"event_id{direction}"], question)

    def _limited(self, sql: str, order: Sequence[str], question: EventQuestion | ListQuestion) -> Statement:
        if order:
            sql += f" ORDER BY {', '.join(order)}"
        sql += f" LIMIT {self.parameters.bind(question.limit, 'UInt64')} OFFSET {self.parameters.bind(question.offset, 'UInt64')}"
        return Statement(sql, self.parameters.values)

    def _with_first_seen(self, sql: str, question: EventQuestion, keys: Sequence[str]) -> str:
        """Join the time of each group's first event, over all time."""
        lifetime = self._totals_of(_lifetime(question.extent), (), [Measure("first_seen", MeasureKind.EARLIEST)])
        project, group = (f"key{keys.index(outer_key(key, ''))}" for key in (GroupKey.PROJECT, GroupKey.GROUP))
        return (
            f"SELECT asked.*, whole.first_seen AS first_seen FROM ({sql}) AS asked "
            f"LEFT ANY JOIN ({lifetime}) AS whole ON asked.{project} = whole.project_id AND asked.{group} = whole.`group`"
        )

    def placed(self, source: RowSource, extent: Extent, filters: Sequence[Filter], values: Iterable[str]) -> str:
        """Return the statement for the rows that fit, with the group that they belong to now."""
        columns = ["project_id", "group_id", *values]
        inner = self._inner(source, extent, filters, columns)
        conditions = [self._on_groups(one, extent, filters) for one in filters if not _is_on_events(one)]
        if not self._overrides.has_any:
            sql = f"SELECT *, group_id AS `group` FROM ({inner})"
        else:
            names = (column.rpartition(" AS ")[2] for column in columns)
            same = ", ".join(f"row.{name} AS {name}" for name in dict.fromkeys(names))
            sql = f"SELECT {same}, {self._group_now()} AS `group` FROM ({inner}) AS row{self._joins(extent)}"
            conditions.append("`group` != 0")
        return f"SELECT * FROM ({sql}) WHERE {' AND '.join(conditions)}" if conditions else sql

    def _inner(self, source: RowSource, extent: Extent, filters: Sequence[Filter], columns: Iterable[str]) -> str:
        columns = list(columns)
        if self._overrides.has_groups:
            columns += ["primary_hash AS o_hash", f"{source.received} AS o_received"]
        if self._overrides.has_events:
            columns.append("event_id AS o_event")
        start, end = self.parameters.time(extent.start), self.parameters.time(extent.end)
        where = [self.projects(extent), f"{source.time} >= {start}", f"{source.time} < {end}"]
        for one in filters:
            if _is_on_events(one):
                where.append(condition(one, self.parameters))
            elif isinstance(one, InGroups) and not one.is_negated:
                where.append(self._stored_groups(one.groups, extent))
        return f"SELECT {', '.join(dict.fromkeys(columns))} FROM {source.table} WHERE {' AND '.join(where)}"

    def _arguments(self, measures: Sequence[Measure], source: RowSource) -> list[str | None]:
        return [
            measure_argument(one, f"m{number}", self.parameters, is_rollup=source is HOURS) for number, one in enumerate(measures)
        ]

    def projects(self, extent: Extent) -> str:
        """Return the condition on the projects."""
        return self.parameters.one_of("project_id", extent.projects, "UInt64")

    def _stored_groups(self, groups: tuple[int, ...], extent: Extent) -> str:
        """Return the condition that finds the rows of groups quickly: by the groups that they are stored with."""
        if not self._overrides.has_any:
            return self.parameters.one_of("group_id", groups, "UInt64")
        listed, projects = self.parameters.bind(list(groups), "Array(UInt64)"), self.projects(extent)
        moved = f"SELECT group_id FROM group_overrides WHERE {projects} AND into_group IN {listed}"
        if self._overrides.has_events:
            ids = f"SELECT event_id FROM event_overrides WHERE {projects} AND into_group IN {listed}"
            moved += f" UNION ALL SELECT group_id FROM events WHERE {projects} AND event_id IN ({ids})"
        return f"group_id IN (SELECT arrayJoin({listed}) UNION ALL {moved})"

    def _group_now(self) -> str:
        """Return the expression of the group that a row belongs to now; 0 for a deleted one."""
        cases = []
        if self._overrides.has_events:
            cases.append("of_event.is_set, of_event.into_group")
        if self._overrides.has_groups:
            cases += [
                f"{name}.is_set, if(row.o_received <= {name}.deleted_until, 0, {name}.into_group)"
                for name in ("of_hash", "of_group")
            ]
        return f"multiIf({', '.join(cases)}, row.group_id)"

    def _joins(self, extent: Extent) -> str:
        sql = ""
        if self._overrides.has_groups:
            latest = "argMax(into_group, changed_at) AS into_group, argMax(deleted_until, changed_at) AS deleted_until"
            found = (
                f"SELECT project_id, group_id, primary_hash, 1 AS is_set, {latest} FROM group_overrides "
                f"WHERE {self.projects(extent)} GROUP BY project_id, group_id, primary_hash"
            )
            same = "row.project_id = {0}.project_id AND row.group_id = {0}.group_id"
            of_group, of_hash = same.format("of_group"), same.format("of_hash")
            sql += f" LEFT ANY JOIN (SELECT * FROM ({found}) WHERE primary_hash = '{NIL}') AS of_group ON {of_group}"
            sql += f" LEFT ANY JOIN (SELECT * FROM ({found}) WHERE primary_hash != '{NIL}') AS of_hash ON {of_hash}"
            sql += " AND row.o_hash = of_hash.primary_hash"
        if self._overrides.has_events:
            found = (
                "SELECT project_id, event_id, 1 AS is_set, argMax(into_group, changed_at) AS into_group FROM event_overrides "
                f"WHERE {self.projects(extent)} GROUP BY project_id, event_id"
            )
            sql += f" LEFT ANY JOIN ({found}) AS of_event "
            sql += "ON row.project_id = of_event.project_id AND row.o_event = of_event.event_id"
        return sql

    def _on_groups(self, filter_: Filter, extent: Extent, filters: Sequence[Filter]) -> str:
        """Return the condition of a filter on groups."""
        match filter_:
            case InGroups():
                found = self.parameters.one_of("`group`", filter_.groups, "UInt64")
            case HasStatus():
                found = self._status(filter_, extent)
            case FirstRelease():
                groups = self._totals_of(_lifetime(extent), (), (), "first_release")
                found = f"(project_id, `group`) IN (SELECT project_id, `group` FROM ({groups}) WHERE {self._released(filter_)})"
            case TotalIs():
                measure = _TOTAL_MEASURES[filter_.total]
                of_events = [one for one in filters if _is_on_events(one) or isinstance(one, InGroups)]
                groups = (
                    self._totals_of(_lifetime(extent), (), [measure])
                    if filter_.total is Total.FIRST_SEEN
                    else self._totals_of(extent, of_events, [measure])
                )
                where = self._total(filter_._replace(is_negated=False), f"`{measure.name}`")
                found = f"(project_id, `group`) IN (SELECT project_id, `group` FROM ({groups}) WHERE {where})"
            case _:
                raise AssertionError(filter_)
        return f"NOT ({found})" if filter_.is_negated else found

    def _status(self, filter_: HasStatus, extent: Extent) -> str:
        # A group without a row is unresolved. So a set that holds unresolved is what is not in the other statuses.
        is_default = Status.UNRESOLVED in filter_.statuses
        listed = [status for status in Status if (status in filter_.statuses) != is_default]
        names = self.parameters.bind([status.value for status in listed], "Array(String)")
        decided = (
            "SELECT project_id, group_id, toString(argMax(status, changed_at)) AS status_now FROM group_status "
            f"WHERE {self.projects(extent)} GROUP BY project_id, group_id"
        )
        groups = f"SELECT project_id, group_id FROM ({decided}) WHERE status_now IN {names}"
        return f"(project_id, `group`) {'NOT ' if is_default else ''}IN ({groups})"

    def _totals_of(
        self, extent: Extent, filters: Sequence[Filter], measures: Sequence[Measure], release: str | None = None
    ) -> str:
        """Return project_id, group and measures of every group; with `release`, the release of its first event that has one."""
        keys = (GroupKey.PROJECT, GroupKey.GROUP)
        source = HOURS if uses_rollup(EventQuestion(extent, keys, tuple(measures), tuple(filters)), self._overrides) else EVENTS
        values = self._arguments(measures, source)
        columns = [
            f"{measure_aggregate(one, f'm{number}', is_rollup=source is HOURS)} AS `{one.name}`"
            for number, one in enumerate(measures)
        ]
        if release is not None and source is HOURS:
            values.append("first_release AS r0")
            columns.append(f"argMinIfMerge(r0) AS {release}")
        elif release is not None:
            values += ["release AS r0", "timestamp AS r1"]
            columns.append(f"argMinIf(toString(r0), r1, r0 != '') AS {release}")
        placed = self.placed(source, extent, filters, [value for value in values if value is not None])
        return f"SELECT {', '.join(('project_id', '`group`', *columns))} FROM ({placed}) GROUP BY project_id, `group`"

    def _released(self, filter_: FirstRelease) -> str:
        texts = [one for one in filter_.releases if isinstance(one, str)]
        parts = [self.parameters.one_of("first_release", texts, "String")] if texts else []
        parts += [
            f"first_release ILIKE {self.parameters.bind(like(one.pieces), 'String')}"
            for one in filter_.releases
            if isinstance(one, TextPattern)
        ]
        return f"({' OR '.join(parts)})"

    def _total(self, filter_: TotalIs, column: str) -> str:
        value = filter_.value
        bound = self.parameters.time(value) if isinstance(value, datetime) else self.parameters.bind(value, "Float64")
        found = relation(column, filter_.relation, bound)
        return f"NOT ({found})" if filter_.is_negated else found


_TOTAL_MEASURES = {
    Total.TIMES_SEEN: Measure("total_count", MeasureKind.COUNT),
    Total.USER_COUNT: Measure("total_users", MeasureKind.UNIQUE, FIELDS["user"]),
    Total.FIRST_SEEN: Measure("total_earliest", MeasureKind.EARLIEST),
    Total.LAST_SEEN: Measure("total_latest", MeasureKind.LATEST),
}


def _lifetime(extent: Extent) -> Extent:
    """Return all time that is kept, up to the end of the extent."""
    return extent._replace(start=FIRST)


def _is_on_events(filter_: Filter) -> TypeGuard[EventFilter]:
    return not isinstance(filter_, GroupFilter)
