"""A slow and obvious reference of the store's queries: lists of dicts and loops. See tests/integration/test_store_queries.py."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from pipeline.store.columns import NIL
from pipeline.store.queries.fields import AnyField, FieldKind, Tag
from pipeline.store.queries.filters import (
    AtTimes,
    Compares,
    Contains,
    Filter,
    FirstRelease,
    Has,
    HasStatus,
    InGroups,
    Matches,
    Relation,
    Status,
    TextPattern,
    Total,
    TotalIs,
)
from pipeline.store.queries.question import AnyKey, Extent, GroupKey, Measure, MeasureKind, TimeKey

Event = dict[str, Any]
"""A row of the table `events`, with times as datetime."""
GroupName = tuple[int, int]
"""Project and group."""


class Reference:
    """Answers questions about a list of events."""

    def __init__(
        self,
        events: list[Event],
        of_groups: dict[tuple[int, int, str], tuple[int, datetime]],
        of_events: dict[tuple[int, str], int],
        statuses: dict[GroupName, Status],
    ) -> None:
        self._statuses = statuses
        self.events: list[tuple[Event, int]] = []
        """Each event with the group that it belongs to now; deleted ones are left out."""
        for event in events:
            project, group = event["project_id"], event["group_id"]
            moved = of_events.get((project, event["event_id"]))
            override = of_groups.get((project, group, event["primary_hash"])) or of_groups.get((project, group, NIL))
            if moved is not None:
                now = moved
            elif override is not None:
                now = 0 if event["received"] <= override[1] else override[0]
            else:
                now = group
            if now != 0:
                self.events.append((event, now))

    def fitting(self, extent: Extent, filters: Iterable[Filter]) -> list[tuple[Event, int]]:
        """Return the events that fit, with their groups."""
        filters = list(filters)
        on_events = [one for one in filters if not isinstance(one, TotalIs | HasStatus | FirstRelease)]
        within = self._within(extent)
        found = [(event, group) for event, group in within if all(self._fits(event, group, one) for one in on_events)]
        totals = self._totals(found)
        lifetime = self._totals(self._within(extent._replace(start=datetime(1970, 1, 1, tzinfo=UTC))))
        on_groups = [one for one in filters if one not in on_events]

        def is_wanted(name: GroupName) -> bool:
            return all(self._group_fits(name, one, totals, lifetime) for one in on_groups)

        return [(event, group) for event, group in found if is_wanted((event["project_id"], group))]

    def table(
        self, extent: Extent, keys: tuple[AnyKey, ...], measures: tuple[Measure, ...], filters: tuple[Filter, ...]
    ) -> dict[tuple[Any, ...], tuple[Any, ...]]:
        """Return the measures by keys."""
        rows: dict[tuple[Any, ...], list[tuple[Event, int]]] = defaultdict(list)
        for event, group in self.fitting(extent, filters):
            for key in _keys(event, group, keys):
                rows[key].append((event, group))
        if not keys:
            rows.setdefault((), [])
        return {key: tuple(_measure(one, found) for one in measures) for key, found in rows.items()}

    def tags(self, extent: Extent, filters: tuple[Filter, ...]) -> dict[str, dict[str, tuple[int, datetime, datetime]]]:
        """Return count, first and last time of each value of each tag."""
        times: dict[str, dict[str, list[datetime]]] = defaultdict(lambda: defaultdict(list))
        for event, _ in self.fitting(extent, filters):
            for key, value in zip(event["tag_keys"], event["tag_values"], strict=True):
                if value:
                    times[key][value].append(event["timestamp"])
        return {
            key: {value: (len(found), min(found), max(found)) for value, found in values.items()} for key, values in times.items()
        }

    def _within(self, extent: Extent) -> list[tuple[Event, int]]:
        return [
            (event, group)
            for event, group in self.events
            if event["project_id"] in extent.projects and extent.start <= event["timestamp"] < extent.end
        ]

    def _totals(self, events: Iterable[tuple[Event, int]]) -> dict[GroupName, list[Event]]:
        totals: dict[GroupName, list[Event]] = defaultdict(list)
        for event, group in events:
            totals[event["project_id"], group].append(event)
        return totals

    def _group_fits(
        self, name: GroupName, one: Filter, totals: dict[GroupName, list[Event]], lifetime: dict[GroupName, list[Event]]
    ) -> bool:
        match one:
            case HasStatus():
                found = self._statuses.get(name, Status.UNRESOLVED) in one.statuses
            case FirstRelease():
                releases = [event["release"] for event in sorted(lifetime[name], key=lambda event: event["timestamp"])]
                first = next((release for release in releases if release), "")
                found = any(_is_like(first, value) for value in one.releases)
            case TotalIs():
                events = lifetime[name] if one.total is Total.FIRST_SEEN else totals[name]
                value = _total(one.total, events)
                found = _RELATIONS[one.relation](value, one.value)
            case _:
                raise AssertionError(one)
        return found != one.is_negated

    def _fits(self, event: Event, group: int, one: Filter) -> bool:
        match one:
            case InGroups():
                found = group in one.groups
            case AtTimes():
                found = event["timestamp"] in one.times
            case Contains():
                found = any(_is_like(event[name], TextPattern(("", *one.pieces, ""))) for name in ("message", "title"))
            case Has():
                found = any(value not in {"", None, NIL} for value in _values(event, one.field))
            case Compares():
                found = any(
                    value is not None and _RELATIONS[one.relation](value, one.value) for value in _values(event, one.field)
                )
            case Matches():
                texts = _values(event, one.field)
                if isinstance(one.field, Tag) or one.field.kind is not FieldKind.TEXTS:
                    found = any(_is_like(texts[0], value) for value in one.values)
                else:
                    found = any(
                        not any(texts) if value == "" else any(_is_like(text, value) for text in texts) for value in one.values
                    )
            case _:
                raise AssertionError(one)
        return found != one.is_negated


_RELATIONS: dict[Relation, Callable[[Any, Any], bool]] = {
    Relation.EQUAL: lambda one, other: one == other,
    Relation.LESS: lambda one, other: one < other,
    Relation.AT_MOST: lambda one, other: one <= other,
    Relation.MORE: lambda one, other: one > other,
    Relation.AT_LEAST: lambda one, other: one >= other,
}


def _total(total: Total, events: list[Event]) -> Any:
    match total:
        case Total.TIMES_SEEN:
            return len(events)
        case Total.USER_COUNT:
            return len({event["user"] for event in events} - {""})
        case Total.FIRST_SEEN:
            return min(event["timestamp"] for event in events)
        case Total.LAST_SEEN:
            return max(event["timestamp"] for event in events)


def _values(event: Event, field: AnyField) -> list[Any]:
    if isinstance(field, Tag):
        return [dict(reversed(list(zip(event["tag_keys"], event["tag_values"], strict=True)))).get(field.key, "")]
    value = event[field.column]
    if field.kind is FieldKind.ID:
        return ["" if value == NIL else value.replace("-", "")]
    return value if isinstance(value, list) else [value]


def _is_like(text: str, value: str | TextPattern) -> bool:
    if isinstance(value, str):
        return text == value
    pattern = ".*".join(re.escape(piece) for piece in value.pieces)
    return re.fullmatch(pattern, text, re.IGNORECASE | re.DOTALL) is not None


def _keys(event: Event, group: int, keys: tuple[AnyKey, ...]) -> Iterator[tuple[Any, ...]]:
    """Yield each combination of keys of one event."""
    if not keys:
        yield ()
        return
    key, rest = keys[0], keys[1:]
    if key is GroupKey.PROJECT:
        values: list[Any] = [event["project_id"]]
    elif key is GroupKey.GROUP or (not isinstance(key, GroupKey | TimeKey | Tag) and key.column == "group"):
        values = [group]
    elif isinstance(key, TimeKey):
        values = [int(event["timestamp"].timestamp()) // key.seconds * key.seconds]
    else:
        assert not isinstance(key, GroupKey)
        is_flags = not isinstance(key, Tag) and key.kind is FieldKind.FLAGS
        known = {value for value in _values(event, key) if value is not None or not is_flags}
        values = sorted(known, key=str) or [None if is_flags else ""]
    for value in values:
        for others in _keys(event, group, rest):
            yield (value, *others)


def _measure(measure: Measure, events: list[tuple[Event, int]]) -> Any:
    match measure.kind:
        case MeasureKind.COUNT:
            return len(events)
        case MeasureKind.EARLIEST:
            return min(event["timestamp"] for event, _ in events) if events else None
        case MeasureKind.LATEST:
            return max(event["timestamp"] for event, _ in events) if events else None
        case MeasureKind.UNIQUE:
            field = measure.field
            assert field is not None
            if not isinstance(field, Tag) and field.column == "group":
                return len({group for _, group in events})
            return len({value for event, _ in events for value in _values(event, field)} - {"", None})
