from __future__ import annotations

import pytest

from pipeline.gateway.limits import headers_of, limited_counts, too_many_requests
from pipeline.model.category import DataCategory
from pipeline.quotas.rate_limit import RateLimit

ERRORS = RateLimit(60, (DataCategory.ERROR, DataCategory.SECURITY), "project", "closed")
EVERYTHING = RateLimit(10, (), "organization")


@pytest.mark.parametrize(
    ("counts", "limits", "is_refused"),
    [
        (((DataCategory.ERROR, 1),), (ERRORS,), True),
        (((DataCategory.ERROR, 1), (DataCategory.SESSION, 1)), (ERRORS,), False),
        (((DataCategory.ERROR, 1), (DataCategory.SESSION, 1)), (ERRORS, EVERYTHING), True),
        (((DataCategory.SESSION, 1),), (ERRORS,), False),
        ((), (EVERYTHING,), False),
        (((DataCategory.ERROR, 1),), (), False),
    ],
)
def test_a_request_is_refused_where_all_that_it_holds_is_limited(
    counts: tuple[tuple[DataCategory, int], ...], limits: tuple[RateLimit, ...], is_refused: bool
) -> None:
    assert (limited_counts(counts, limits) is not None) == is_refused


def test_a_refusal_says_for_how_long_and_an_acceptance_only_for_what() -> None:
    refused = dict(too_many_requests([ERRORS, EVERYTHING]).headers)
    assert refused["retry-after"] == "60"
    assert refused["x-sentry-rate-limits"] == "60:error;security:project:closed, 10::organization"
    assert headers_of([ERRORS]) == (("x-sentry-rate-limits", "60:error;security:project:closed"),)
    assert headers_of([]) == ()
