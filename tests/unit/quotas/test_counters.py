from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.category import DataCategory
from pipeline.model.outcome import Fate
from pipeline.model.record import Token
from pipeline.model.scope import Scope
from pipeline.quotas.call import id_bytes, pack_ids
from pipeline.quotas.counters import MatchingQuotas
from pipeline.quotas.decided_offsets import DecidedOffsets
from pipeline.quotas.ledger import Polled
from pipeline.quotas.model import LAST_MOMENT, Bucket, Quota, QuotaScope, clamped, window_at
from pipeline.quotas.rate_limit import RateLimit, format_header, merge, parse_header, retry_after

SCOPE = Scope(42, 43, 44)


@given(st.integers(0, LAST_MOMENT), st.integers(1, 10_000_000), st.integers(0, 2**53))
def test_a_window_holds_its_moment(moment: int, window_s: int, organization: int) -> None:
    window = window_at(moment, window_s, organization)
    assert window.start <= moment < window.end
    assert window.end - window.start == window_s
    assert window_at(window.end, window_s, organization).slot == window.slot + 1


@pytest.mark.parametrize(
    ("moment", "expected"), [(-1.0, 0), (math.nan, 0), (math.inf, LAST_MOMENT), (-math.inf, 0), (5.5, 5.5), (1e300, LAST_MOMENT)]
)
def test_absurd_moments_are_clamped(moment: float, expected: float) -> None:
    assert clamped(moment) == expected


def test_counters_are_named_as_relay_names_them() -> None:
    quotas = [
        Quota(scope.value[0], scope, limit=1, window_s=60)
        for scope in (QuotaScope.ORGANIZATION, QuotaScope.PROJECT, QuotaScope.KEY)
    ]
    counter_set = MatchingQuotas(SCOPE, DataCategory.ERROR, quotas).at(4102444800.0)
    assert [name for name, _ in counter_set.counters] == ["o{42}:68374079", "p{42}43:68374079", "k{42}44:68374079"]


def test_charges_hold_until_the_first_window_turns() -> None:
    plan = MatchingQuotas(Scope(0, 1), DataCategory.ERROR, [Quota("m", window_s=60), Quota("h", window_s=3600)])
    counter_set = plan.at(100.0)
    assert (counter_set.start, counter_set.end) == (60, 120)
    assert plan.at(119.0) is counter_set
    assert plan.at(120.0) is not counter_set
    assert plan.at(61.0) is counter_set


def test_limit_zero_refuses_at_once_and_charges_nothing() -> None:
    quotas = [Quota(None, limit=0, reason_code="closed"), Quota("a", limit=5, window_s=60)]
    counter_set = MatchingQuotas(SCOPE, DataCategory.ERROR, quotas).at(0.0)
    assert counter_set.closes_at_once
    assert counter_set.counters == []
    assert counter_set.closed is not None
    assert (counter_set.closed.fate, counter_set.closed.reason) == (Fate.RATE_LIMITED, "closed")
    assert counter_set.closed.limits == (RateLimit(60, (), "organization", "closed"),)


def test_quotas_that_cannot_be_counted_are_skipped() -> None:
    quotas = [Quota(None, limit=5, window_s=60), Quota("a", limit=5), Quota("g", QuotaScope.GROUP, limit=5, window_s=60)]
    assert MatchingQuotas(SCOPE, DataCategory.ERROR, quotas).at(0.0).counters == []
    assert len(MatchingQuotas(SCOPE, DataCategory.ERROR, [Quota("b", bucket=Bucket(5, 1.0))]).at(0.0).counters) == 1


@pytest.mark.parametrize(
    ("scope_id", "matches"),
    [(None, True), ("43", True), ("44", False), ("x", False), ("", False), ("9" * 5_000, False), ("٤٣", False)],
)
def test_scope_ids_match_by_number(scope_id: str | None, matches: bool) -> None:
    assert Quota("a", QuotaScope.PROJECT, scope_id).matches(SCOPE, DataCategory.ERROR) is matches


def test_an_unknown_category_matches_nothing_known() -> None:
    assert not Quota("a", categories=frozenset({DataCategory.UNKNOWN})).matches(SCOPE, DataCategory.ERROR)


@given(
    st.lists(
        st.one_of(
            st.text(max_size=40), st.uuids().map(lambda value: value.hex), st.text("0123456789abcdef ", min_size=32, max_size=32)
        )
    )
)
def test_ids_are_16_bytes_whatever_they_are(event_ids: list[str]) -> None:
    packed = pack_ids(event_ids)
    assert [packed[at : at + 16] for at in range(0, len(packed), 16)] == [id_bytes(event_id) for event_id in event_ids]
    assert len(packed) == 16 * len(event_ids)


def test_a_local_memory_is_used_only_where_nothing_can_be_decided() -> None:
    decided = DecidedOffsets(3_600)
    polled = [Polled("t", 0, 10, 20)]
    decided.begin(polled)
    assert not decided.is_undecided(1, Token("t", 0, 10))
    decided.finish(polled)
    decided._decided["t", 0] = {1: 20}
    decided.begin([Polled("t", 0, 20, 30)])
    assert decided.is_undecided(1, Token("t", 0, 20))
    assert not decided.is_undecided(2, Token("t", 0, 20)), "another organization was not asked about"
    decided.finish([Polled("t", 0, 20, 30)])
    decided.begin([Polled("t", 0, 25, 40)])
    assert not decided.is_undecided(1, Token("t", 0, 30)), "the partition did not go on where it ended"


def test_rate_limits_merge_to_the_longest_of_a_kind() -> None:
    error = (DataCategory.ERROR,)
    limits = [RateLimit(5, error, "key", "a"), RateLimit(9, error, "key", "b"), RateLimit(7, error, "project", "c")]
    assert merge(limits) == (RateLimit(9, error, "key", "b"), RateLimit(7, error, "project", "c"))
    assert format_header(merge(limits)) == "9:error:key:b, 7:error:project:c"
    assert retry_after(limits) == "9"


@given(st.text())
def test_any_header_is_read(header: str) -> None:
    for limit in parse_header(header):
        assert limit.retry_after_s >= 0


@pytest.mark.parametrize("header", ["1e400:error:key", "nan:error:key", "-5:error:key", "1" * 400 + ":error:key"])
def test_absurd_seconds_are_skipped(header: str) -> None:
    assert parse_header(header) == ()


def test_headers_round_trip() -> None:
    limits = (
        RateLimit(60, (DataCategory.DEFAULT, DataCategory.ERROR), "key", "get_lost"),
        RateLimit(2700, (), "organization", "org_quota"),
    )
    assert format_header(limits) == "60:default;error:key:get_lost, 2700::organization:org_quota"
    assert parse_header(format_header(limits)) == limits
