"""Endpoints about single events, and tables of events (Sentry's discover)."""

from __future__ import annotations

import re
from typing import Any

from pipeline.api.call import NOT_FOUND, ApiCall
from pipeline.api.event_entries import event_detail
from pipeline.api.formatting import event_json
from pipeline.api.parameters import interval_for, parse_interval, parse_page
from pipeline.api.short_ids import encode_short_id
from pipeline.api.shown_text import shown, shown_value
from pipeline.api.types import iso
from pipeline.store.queries.answers import EventSummary, TimeBucket
from pipeline.store.queries.fields import FIELDS, AnyField, EventField, FieldKind, Tag, find_field
from pipeline.store.queries.filters import Filter, InGroups
from pipeline.store.queries.queries import forever
from pipeline.store.queries.question import AnyKey, EventQuestion, GroupKey, Measure, MeasureKind, SortBy
from pipeline.uploads.answers import ApiAnswer, ApiError

MAX_COLUMNS = 20
_AGGREGATE = re.compile(r"([a-z_0-9]+)\(([^()]*)\)")
_DATASETS = frozenset({"", "errors", "discover", "issuePlatform"})
_TYPES = {"count": "integer", "unique": "integer", "earliest": "date", "latest": "date"}


def list_issue_events(call: ApiCall) -> ApiAnswer:
    """Answer with the events of a group, the newest first."""
    group, _ = call.group()
    page, asked = parse_page(call.query), call.asked()
    extent = asked.extent._replace(projects=(group.project_id,))
    if not call.query.one("statsPeriod") and not call.query.one("start"):
        extent = forever(extent.projects, call.now)
    return _event_list(call, extent, (*asked.filters, InGroups((group.group_id,))), page)


def list_project_events(call: ApiCall) -> ApiAnswer:
    """Answer with the events of a project, the newest first."""
    asked = call.asked()
    return _event_list(call, asked.extent, asked.filters, parse_page(call.query))


def show_issue_event(call: ApiCall) -> ApiAnswer:
    """Answer with one event of a group: latest, oldest, recommended, or by its id."""
    group, _ = call.group()
    name = call.path["event"]
    if name in {"latest", "recommended", "oldest"}:
        extent = forever((group.project_id,), call.now)
        filters: tuple[Filter, ...] = (InGroups((group.group_id,)), *call.asked().filters)
        found = call.queries.events(extent, filters, 1, is_newest_first=name != "oldest")
        if not found:
            raise ApiError(404, NOT_FOUND)
        return _detail(call, found[0])
    event = call.event(name)
    if event.group_id != group.group_id:
        raise ApiError(404, NOT_FOUND)
    return _detail(call, event)


def show_event(call: ApiCall) -> ApiAnswer:
    """Answer with one event of a project."""
    return _detail(call, call.event(call.path["event"]))


def find_event_id(call: ApiCall) -> ApiAnswer:
    """Answer with the group and project of an event."""
    event = call.event(call.path["event"])
    project = call.service.directory.entry(event.project_id)
    return ApiAnswer(
        200,
        {
            "organizationSlug": project.organization.slug,
            "projectSlug": project.slug,
            "groupId": str(event.group_id),
            "eventId": event.event_id,
            "event": event_json(event),
        },
    )


def table(call: ApiCall) -> ApiAnswer:
    """Answer with a table: single events, or measures such as count() for each combination of the fields."""
    if call.query.one("dataset") not in _DATASETS:  # spans, logs and the like are not kept, so the answer is empty
        return ApiAnswer(200, {"data": [], "meta": {"fields": {}, "units": {}}})
    names = call.query.all("field")
    if not 0 < len(names) <= MAX_COLUMNS:
        raise ApiError(400, f"field: 1 to {MAX_COLUMNS} of them are needed")
    measures = {name: measure for name in names if (measure := parse_measure(name)) is not None}
    asked, page = call.asked(), parse_page(call.query, 50)
    sorts = call.query.all("sort", "orderby")
    if not measures:
        if any(sort.lstrip("-") not in {"timestamp", "id", "time"} for sort in sorts):
            raise ApiError(400, "sort: single events are sorted by timestamp")
        is_newest_first = not sorts or sorts[0].startswith("-")
        found = call.queries.events(asked.extent, asked.filters, page.limit + 1, page.offset, is_newest_first=is_newest_first)
        rows = [{"id": one.event_id, "project.name": _project(call, one.project_id)} | _row(call, one, names) for one in found]
        return call.page({"data": rows[: page.limit], "meta": _meta(names, {})}, page, has_more=len(rows) > page.limit)
    fields = [name for name in names if name not in measures]
    order = [_sort(sort, fields, measures) for sort in sorts] or [SortBy(next(iter(measures)))]
    keys = tuple(_key(name) for name in fields)
    order += [SortBy(f"key{number}", is_descending=False) for number in range(len(keys))]
    question = EventQuestion(
        asked.extent, keys, tuple(measures.values()), asked.filters, tuple(order), page.limit + 1, page.offset
    )
    data = []
    for row in call.queries.table(question):
        shown_row = {name: _cell(call, name, row[f"key{number}"]) for number, name in enumerate(fields)}
        data.append(shown_row | {name: _plain(row[measure.name]) for name, measure in measures.items()})
    return call.page({"data": data[: page.limit], "meta": _meta(names, measures)}, page, has_more=len(data) > page.limit)


def series(call: ApiCall) -> ApiAnswer:
    """Answer with the number of events, or of users, by time; with `topEvents` for each of the commonest values of a field."""
    asked = call.asked()
    seconds = parse_interval(call.query.one("interval")) if call.query.one("interval") else interval_for(asked.period)
    axis = call.query.one("yAxis", "count()")
    measure = parse_measure(axis)
    if measure is None or not (measure.kind is MeasureKind.COUNT or measure.field == FIELDS["user"]):
        raise ApiError(400, f"yAxis: {axis[:50]!r} is neither count() nor count_unique(user)")
    is_users = measure.kind is MeasureKind.UNIQUE
    if call.query.one("topEvents"):
        names = [name for name in call.query.all("field") if parse_measure(name) is None]
        field = find_field("issue.id" if names[:1] == ["issue"] else names[0]) if names else FIELDS["title"]
        top = call.query.number("topEvents", 5, 1, 10)
        found = call.queries.top_series(asked.extent, seconds, field, asked.filters, top)
        return ApiAnswer(
            200,
            {
                shown(str(value)): {"data": _points(one, is_users=False), "order": number}
                for number, (value, one) in enumerate(found.items())
            },
        )
    points = call.queries.series(asked.extent, seconds, asked.filters, has_users=is_users)
    start, end = (int(at.timestamp()) for at in asked.period)
    return ApiAnswer(200, {"data": _points(points, is_users=is_users), "start": start, "end": end, "isMetricsData": False})


def parse_measure(name: str) -> Measure | None:
    """Return the measure of a column such as count() or count_unique(user); None for a field. Raises ApiError (400)."""
    match = _AGGREGATE.fullmatch(name)
    if match is None:
        return None
    function, argument = match.groups()
    if function == "count" and argument in {"", "id"}:
        return Measure(name, MeasureKind.COUNT)
    if function in {"count_unique", "uniq"} and argument:
        return Measure(name, MeasureKind.UNIQUE, FIELDS["issue.id"] if argument == "issue" else find_field(argument))
    if (function, argument) in {("last_seen", ""), ("max", "timestamp")}:
        return Measure(name, MeasureKind.LATEST)
    if (function, argument) in {("first_seen", ""), ("min", "timestamp")}:
        return Measure(name, MeasureKind.EARLIEST)
    raise ApiError(400, f"field: {name[:50]!r} is not one of count(), count_unique(x), first_seen(), last_seen()")


def _event_list(call: ApiCall, extent: Any, filters: tuple[Filter, ...], page: Any) -> ApiAnswer:
    found = call.queries.events(extent, filters, page.limit + 1, page.offset)
    is_full = call.query.one("full") in {"1", "true"}
    bodies = [event_detail(one, call.queries.body(one)) if is_full else event_json(one) for one in found[: page.limit]]
    return call.page(bodies, page, has_more=len(found) > page.limit)


def _detail(call: ApiCall, event: EventSummary) -> ApiAnswer:
    older, newer = (call.queries.neighbour(event, call.now, is_newer=is_newer) for is_newer in (False, True))
    body = call.queries.body(event)
    return ApiAnswer(200, event_detail(event, body, older and older.event_id, newer and newer.event_id))


def _project(call: ApiCall, project_id: int) -> str:
    return call.service.directory.entry(project_id).slug


def _key(name: str) -> AnyKey:
    if name in {"issue", "issue.id"}:
        return GroupKey.GROUP
    return GroupKey.PROJECT if name in {"project", "project.id", "project.name"} else find_field(name)


def _sort(sort: str, fields: list[str], measures: dict[str, Measure]) -> SortBy:
    """Return an order. Clients write count() also as count, and count_unique(user) as count_unique_user."""
    name = sort.lstrip("-")
    for column in measures:
        if name in {column, column.replace("()", ""), re.sub(r"[().]+", "_", column).strip("_")}:
            return SortBy(column, is_descending=sort.startswith("-"))
    if name in fields:
        return SortBy(f"key{fields.index(name)}", is_descending=sort.startswith("-"))
    raise ApiError(400, f"sort: {name[:50]!r} is not a column of this table")


def _row(call: ApiCall, event: EventSummary, names: list[str]) -> dict[str, Any]:
    return {name: _cell_of(call, event, name) for name in names}


def _cell_of(call: ApiCall, event: EventSummary, name: str) -> Any:
    """Return a column of a single event."""
    if name in {"issue", "issue.id"}:
        slug = _project(call, event.project_id)
        return encode_short_id(slug, event.group_id) if name == "issue" else event.group_id
    if name in {"project", "project.name", "project.id"}:
        return event.project_id if name == "project.id" else _project(call, event.project_id)
    field = find_field(name)
    if isinstance(field, Tag):
        return shown(next((value for key, value in event.tags if key == field.key), "")) or None
    if field.column == "event_id":
        return event.event_id
    if field.kind is FieldKind.TIME:
        return iso(event.timestamp if field.column == "timestamp" else event.received)
    attribute = {"mechanism_handled": "is_handled"}.get(field.column, field.column)
    value = getattr(event, attribute, None)
    return shown_value(list(value) if isinstance(value, tuple) else value)


def _cell(call: ApiCall, name: str, value: Any) -> Any:
    """Return the value of a key."""
    if name in {"project", "project.name"}:
        return _project(call, value)
    return _plain(value) if name != "issue" else str(value)


def _plain(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return iso(value)
    return shown(value) if isinstance(value, str) else value


def _meta(names: list[str], measures: dict[str, Measure]) -> dict[str, Any]:
    fields = {name: _TYPES[measures[name].kind.value] if name in measures else _type_of(find_field(name)) for name in names}
    return {"fields": fields, "units": dict.fromkeys(names), "isMetricsData": False, "dataset": "errors"}


def _type_of(field: AnyField) -> str:
    if isinstance(field, EventField):
        return {FieldKind.TIME: "date", FieldKind.NUMBER: "integer", FieldKind.FLAG: "boolean"}.get(field.kind, "string")
    return "string"


def _points(points: list[TimeBucket], *, is_users: bool) -> list[tuple[int, list[dict[str, int]]]]:
    return [(one.start, [{"count": one.users if is_users else one.count}]) for one in points]
