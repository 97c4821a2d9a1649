"""What a request asks for in its query: projects, time, search, order, page. Anything wrong is a 400 that names the parameter."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import parse_qs, quote, urlencode

from pipeline.api.directory import Directory, Organization, ProjectEntry
from pipeline.store.queries.fields import FIELDS
from pipeline.store.queries.filters import Filter, Matches
from pipeline.store.queries.question import Extent
from pipeline.store.queries.search import parse_search
from pipeline.store.queries.search_values import SearchError
from pipeline.uploads.answers import ApiError

DEFAULT_PERIOD = "90d"
MAX_PER_PAGE = 100
MAX_OFFSET = 100_000
HOUR_S = 3_600
_PERIOD = re.compile(r"(\d{1,5})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": HOUR_S, "d": 86_400, "w": 7 * 86_400}
_CURSOR = re.compile(r"-?\d{1,20}:(\d{1,6}):[01]")


class Query:
    """The parameters after the question mark, each with any number of values."""

    def __init__(self, text: str) -> None:
        try:
            self._values = parse_qs(text, keep_blank_values=True, max_num_fields=500, errors="replace")
        except ValueError:
            raise ApiError(400, "too many parameters") from None

    def all(self, *names: str) -> list[str]:
        """Return all values of parameters that are not empty."""
        return [value for name in names for value in self._values.get(name, ()) if value]

    def one(self, name: str, default: str = "") -> str:
        """Return the last value of a parameter."""
        return (self._values.get(name) or [default])[-1] or default

    def number(self, name: str, default: int, least: int, most: int) -> int:
        """Return a whole number; a larger one counts as `most`. Raises ApiError (400)."""
        text = self.one(name, str(default))
        if not re.fullmatch("[0-9]{1,12}", text) or int(text) < least:
            raise ApiError(400, f"{name}: {text[:50]!r} is not a number of at least {least}")
        return min(int(text), most)


class ListPage(NamedTuple):
    """Which part of a list is asked for."""

    offset: int
    limit: int


def parse_page(query: Query, default: int = MAX_PER_PAGE) -> ListPage:
    """Return the page that `cursor`, `per_page` and `limit` ask for. Raises ApiError (400)."""
    limit = query.number("per_page" if query.one("per_page") else "limit", default, 1, MAX_PER_PAGE)
    cursor = query.one("cursor", "0:0:0")
    match = _CURSOR.fullmatch(cursor)
    if match is None or int(match[1]) > MAX_OFFSET:
        raise ApiError(400, f"cursor: {cursor[:50]!r} is not one that a Link header gave")
    return ListPage(int(match[1]), limit)


def link_header(url: str, query: str, page: ListPage, *, has_more: bool) -> tuple[str, str]:
    """Return the Link header of a page, with its neighbours and whether they have anything."""
    kept = parse_qs(query, keep_blank_values=True)
    others = [(name, value) for name, values in kept.items() for value in values if name != "cursor"]

    def link(name: str, offset: int, is_previous: int, has_results: bool) -> str:
        cursor = f"0:{offset}:{is_previous}"
        target = f"{url}?{urlencode([*others, ('cursor', cursor)], quote_via=quote)}"
        return f'<{target}>; rel="{name}"; results="{str(has_results).lower()}"; cursor="{cursor}"'

    before = max(0, page.offset - page.limit)
    parts = (link("previous", before, 1, page.offset > 0), link("next", page.offset + page.limit, 0, has_more))
    return "Link", ", ".join(parts)


class Period(NamedTuple):
    """A span of time, in UTC."""

    start: datetime
    end: datetime


def parse_period(query: Query, now: datetime, default: str = DEFAULT_PERIOD, *, step_s: int = HOUR_S) -> Period:
    """Return the period that `statsPeriod`, or `start` and `end`, ask for. Raises ApiError (400).

    A period ends now, and is widened to whole steps, by default hours, so that roll-ups can answer.
    """
    if query.one("start") or query.one("end"):
        start, end = (_time(query.one(name), name) for name in ("start", "end"))
        if end <= start:
            raise ApiError(400, "start must be before end")
        return Period(start, end)
    text = query.one("statsPeriod", default)
    match = _PERIOD.fullmatch(text)
    if match is None or int(match[1]) == 0:
        raise ApiError(400, f"statsPeriod: {text[:50]!r} is not a period such as 24h or 14d")
    seconds = min(int(match[1]) * _SECONDS[match[2]], 400 * 86_400)
    end_s = math.ceil(now.timestamp() / step_s) * step_s
    start_s = math.floor((now.timestamp() - seconds) / step_s) * step_s
    return Period(datetime.fromtimestamp(start_s, UTC), datetime.fromtimestamp(end_s, UTC))


def parse_interval(text: str, name: str = "interval") -> int:
    """Return the seconds of a text such as 1h or 30m. Raises ApiError (400)."""
    match = _PERIOD.fullmatch(text)
    if match is None or int(match[1]) == 0:
        raise ApiError(400, f"{name}: {text[:50]!r} is not a span of time such as 1h or 1d")
    return int(match[1]) * _SECONDS[match[2]]


def interval_for(period: Period) -> int:
    """Return the seconds of a step that suits a period: hours for two weeks, days for months."""
    span = period.end - period.start
    if span <= timedelta(hours=2):
        return 60
    if span <= timedelta(days=15):
        return HOUR_S
    return 86_400


class Asked(NamedTuple):
    """Which events a request is about."""

    organization: Organization
    projects: tuple[ProjectEntry, ...]
    period: Period
    filters: tuple[Filter, ...]

    @property
    def extent(self) -> Extent:
        """The same in the form that queries take. Without projects it contains no event."""
        return Extent(tuple(project.id for project in self.projects) or (0,), *self.period)


def parse_asked(
    query: Query,
    directory: Directory,
    organization: Organization,
    project: ProjectEntry | None,
    now: datetime,
    find_group: Callable[[str], int | None],
    *,
    step_s: int = HOUR_S,
) -> Asked:
    """Return which events a request is about. Raises ApiError: 404 for a project, 400 for the rest."""
    projects = (project,) if project is not None else directory.chosen(organization, query.all("project", "projectSlug"))
    try:
        filters = parse_search(query.one("query").encode("utf-8", "replace").decode(), now, find_group)
    except SearchError as error:
        raise ApiError(400, str(error)) from None
    environments = tuple(query.all("environment"))
    if environments:
        filters += (Matches(FIELDS["environment"], environments),)
    return Asked(organization, projects, parse_period(query, now, step_s=step_s), filters)


def _time(text: str, name: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ApiError(400, f"{name}: {text[:50]!r} is not a time such as 2026-01-31T10:00:00") from None
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    if not 1970 <= at.year < 2200:
        raise ApiError(400, f"{name}: {text[:50]!r} is out of range")
    return at
