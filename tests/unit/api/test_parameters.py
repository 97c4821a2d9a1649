from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.api.parameters import MAX_OFFSET, ListPage, Query, link_header, parse_interval, parse_page, parse_period
from pipeline.uploads.answers import ApiError

NOW = datetime(2026, 6, 15, 12, 34, 56, tzinfo=UTC)


def test_a_period_is_widened_to_whole_hours_so_that_rollups_answer() -> None:
    start, end = parse_period(Query("statsPeriod=24h"), NOW)
    assert (start, end) == (datetime(2026, 6, 14, 12, tzinfo=UTC), datetime(2026, 6, 15, 13, tzinfo=UTC))
    start, end = parse_period(Query("statsPeriod=14d"), NOW, step_s=86_400)
    assert (start, end) == (datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 6, 16, tzinfo=UTC))


def test_start_and_end_are_taken_as_they_are() -> None:
    found = parse_period(Query("start=2026-06-01T00:00:01&end=2026-06-02T02:00:00%2B02:00"), NOW)
    assert found == (datetime(2026, 6, 1, 0, 0, 1, tzinfo=UTC), datetime(2026, 6, 2, tzinfo=UTC))


@pytest.mark.parametrize(
    "query",
    [
        "statsPeriod=x",
        "statsPeriod=0d",
        "start=2026-06-01",
        "start=b&end=c",
        "start=2026-06-02&end=2026-06-01",
        "start=0001-01-01&end=9999-12-31",
    ],
)
def test_wrong_times_are_refused(query: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse_period(Query(query), NOW)
    assert refused.value.status == 400


@given(st.integers(0, MAX_OFFSET // 100).map(lambda number: number * 10), st.integers(1, 100), st.booleans())
def test_a_link_leads_to_the_neighbours(offset: int, limit: int, has_more: bool) -> None:
    query = "query=is%3Aresolved&cursor=0:0:0&project=1&project=2"
    _, header = link_header("http://x/api/0/a/", query, ListPage(offset, limit), has_more=has_more)
    previous, following = re.findall(r'<http://x/api/0/a/\?([^>]*)>; rel="(\w+)"; results="(\w+)"; cursor="([^"]*)"', header)
    assert (previous[1], previous[2]) == ("previous", str(offset > 0).lower())
    assert (following[1], following[2]) == ("next", str(has_more).lower())
    asked = Query(following[0])
    assert parse_page(asked).offset == offset + limit
    assert (asked.one("query"), asked.all("project"), asked.one("cursor")) == ("is:resolved", ["1", "2"], following[3])


@pytest.mark.parametrize("query", ["cursor=x", "cursor=0:9999999:0", "limit=0", "per_page=-1", "limit=1e3", "limit=\u0663"])
def test_wrong_pages_are_refused(query: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse_page(Query(query))
    assert refused.value.status == 400


def test_pages_are_bounded() -> None:
    assert parse_page(Query("per_page=5000")) == ListPage(0, 100)
    assert parse_interval("30m") == 1_800
