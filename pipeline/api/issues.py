"""Endpoints about groups, which Sentry's API calls issues: lists, one group, its status."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import orjson

from pipeline.api.call import NOT_FOUND, ApiCall
from pipeline.api.formatting import issue_detail_json, issue_json
from pipeline.api.parameters import HOUR_S, parse_page
from pipeline.api.short_ids import parse_short_id
from pipeline.store.queries.answers import GroupSummary, TimeBucket
from pipeline.store.queries.fields import FIELDS
from pipeline.store.queries.filters import InGroups, Matches, Status
from pipeline.store.queries.queries import forever
from pipeline.store.queries.question import Extent, FacetQuestion
from pipeline.uploads.answers import ApiAnswer, ApiError

SORTS = {
    "date": "latest",
    "new": "first_seen",
    "freq": "count",
    "user": "users",
    "recommended": "latest",
    "inbox": "latest",
    "trends": "count",
}
STATS_PERIODS = {"24h": (timedelta(hours=24), HOUR_S), "14d": (timedelta(days=14), 86_400), "30d": (timedelta(days=30), 86_400)}
_CHANGES = {
    "resolved": Status.RESOLVED,
    "resolvedInNextRelease": Status.RESOLVED,
    "unresolved": Status.UNRESOLVED,
    "reprocessing": Status.UNRESOLVED,
    "ignored": Status.IGNORED,
    "archived": Status.IGNORED,
    "muted": Status.IGNORED,
}
_SUBSTATUSES = frozenset(
    {"ongoing", "new", "regressed", "escalating", "archived_until_escalating", "archived_forever", "archived_until_condition_met"}
)
MAX_CHANGED = 1_000


def list_issues(call: ApiCall) -> ApiAnswer:
    """Answer with groups: those that have events in the asked period and match the search."""
    sort = call.query.one("sort", "date")
    if sort not in SORTS:
        raise ApiError(400, f"sort: {sort[:50]!r} is not one of {', '.join(SORTS)}")
    asked, page = call.asked(), parse_page(call.query, 25)
    groups = _named(call.query.all("group"))
    filters = (*asked.filters, InGroups(groups)) if groups else asked.filters
    found = call.queries.groups(asked.extent, filters, SORTS[sort], page.limit + 1, page.offset)
    return call.page(_issues(call, found[: page.limit]), page, has_more=len(found) > page.limit)


def show_issue(call: ApiCall) -> ApiAnswer:
    """Answer with one group over all time."""
    group, project = call.group()
    extent = forever((group.project_id,), call.now)
    filters = (InGroups((group.group_id,)),)
    has_release = (Matches(FIELDS["release"], ("",), is_negated=True),)
    edges = [call.queries.events(extent, filters + has_release, 1, is_newest_first=is_newest) for is_newest in (False, True)]
    first, last = (found[0].release if found else "" for found in edges)
    stats = {name: _stats(call, group.project_id, (group.group_id,), name)[group.group_id] for name in ("24h", "30d")}
    tags = call.queries.facets(FacetQuestion(extent, filters, values=1))
    body = issue_detail_json(group, project, call.url, stats=stats, releases=(first, last), tags=tags)
    return ApiAnswer(200, body)


def change_issue(call: ApiCall) -> ApiAnswer:
    """Set the status of one group."""
    group, project = call.group()
    status, substatus = _change(call.request.body)
    if status is not None:
        call.queries.set_status([(group.project_id, group.group_id)], status, substatus, call.now)
        group, project = call.group()
    return ApiAnswer(200, issue_json(group, project, call.url))


def change_issues(call: ApiCall) -> ApiAnswer:
    """Set the status of the groups that `id` names, or that the search finds."""
    status, substatus = _change(call.request.body)
    groups = _named(call.query.all("id"))
    asked = call.asked()
    filters = (*asked.filters, InGroups(groups)) if groups else asked.filters
    extent = forever(asked.extent.projects, call.now) if groups else asked.extent
    found = call.queries.groups(extent, filters, limit=MAX_CHANGED)
    if groups and not found:
        raise ApiError(404, NOT_FOUND)
    if status is not None:
        call.queries.set_status([(one.project_id, one.group_id) for one in found], status, substatus, call.now)
    return ApiAnswer(200, {"status": status.value if status else None, "statusDetails": {}, "substatus": substatus or None})


def find_short_id(call: ApiCall) -> ApiAnswer:
    """Answer with the group of a short id."""
    if parse_short_id(call.path["issue"]) is None:
        raise ApiError(404, NOT_FOUND)
    group, project = call.group()
    return ApiAnswer(
        200,
        {
            "organizationSlug": project.organization.slug,
            "projectSlug": project.slug,
            "groupId": str(group.group_id),
            "group": issue_json(group, project, call.url),
            "shortId": call.path["issue"].upper(),
        },
    )


def _issues(call: ApiCall, groups: Sequence[GroupSummary]) -> list[Any]:
    """Return groups with their numbers over the last day or two weeks, where `groupStatsPeriod` asks for them."""
    name = call.query.one("groupStatsPeriod", "24h")
    stats: dict[tuple[int, int], list[tuple[int, int]]] = {}
    if name in STATS_PERIODS:
        for project in {group.project_id for group in groups}:
            ids = tuple(group.group_id for group in groups if group.project_id == project)
            stats |= {(project, group): found for group, found in _stats(call, project, ids, name).items()}
    entry = call.service.directory.entry
    return [
        issue_json(
            group,
            entry(group.project_id),
            call.url,
            {name: stats[group.project_id, group.group_id]} if (group.project_id, group.group_id) in stats else None,
        )
        for group in groups
    ]


def _stats(call: ApiCall, project: int, groups: tuple[int, ...], name: str) -> dict[int, list[tuple[int, int]]]:
    span, seconds = STATS_PERIODS[name]
    end = (int(call.now.timestamp()) // seconds + 1) * seconds
    at = call.now.replace(hour=0, minute=0, second=0, microsecond=0)
    stop = at + timedelta(seconds=end - int(at.timestamp()))
    found = call.queries.group_series(Extent((project,), stop - span, stop), seconds, groups)
    return {group: _pairs(series) for group, series in found.items()}


def _pairs(series: Sequence[TimeBucket]) -> list[tuple[int, int]]:
    return [(one.start, one.count) for one in series]


def _named(texts: Sequence[str]) -> tuple[int, ...]:
    """Return groups that parameters name by number. Raises ApiError (400)."""
    if not all(text.isascii() and text.isdecimal() and len(text) <= 20 and int(text) < 2**64 for text in texts):
        raise ApiError(400, "id: a group's number is expected")
    return tuple(map(int, texts))


def _change(body: bytes) -> tuple[Status | None, str]:
    """Return the status and substatus that a request sets. Raises ApiError (400)."""
    try:
        sent = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError:
        sent = None
    if not isinstance(sent, dict):
        raise ApiError(400, "a JSON object is expected")
    status, substatus = sent.get("status"), sent.get("substatus") or ""
    if status is not None and (not isinstance(status, str) or status not in _CHANGES):
        raise ApiError(400, f"status: one of {', '.join(_CHANGES)} is expected")
    if substatus and (not isinstance(substatus, str) or substatus not in _SUBSTATUSES):
        raise ApiError(400, f"substatus: one of {', '.join(sorted(_SUBSTATUSES))} is expected")
    return None if status is None else _CHANGES[status], substatus
