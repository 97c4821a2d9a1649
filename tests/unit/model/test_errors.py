from __future__ import annotations

import copy
import pickle

from pipeline.model.errors import RetryableError, describe_failure
from pipeline.model.title import metadata


def test_a_failure_names_the_place_in_our_code() -> None:
    try:
        metadata(None)  # type: ignore[arg-type]
    except AttributeError as error:
        said = describe_failure(error)
    assert said.startswith("AttributeError: ")
    assert "(pipeline/model/event.py:" in said


def test_a_failure_elsewhere_is_named_alone() -> None:
    assert describe_failure(ZeroDivisionError("x")) == "ZeroDivisionError: x"


def test_a_service_that_is_away_stays_so_in_another_process() -> None:
    error = RetryableError("redis", "BUSY: a script runs", retry_in_s=0.5)
    error.retry_in_s = 7.0  # the ledger's pauses grow
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301 -- our own bytes
        assert (type(again), str(again)) == (RetryableError, "redis: BUSY: a script runs")
        assert (again.service, again.detail, again.retry_in_s) == ("redis", "BUSY: a script runs", 7.0)
