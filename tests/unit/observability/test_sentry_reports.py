from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline.observability.sentry_reports import REPORTS_PER_MINUTE, ReportFilter, project_of_dsn

SECRET = "the-payload"


def report(**extra: Any) -> dict[str, Any]:
    frame = {"function": "f", "vars": {"event": SECRET}}
    return {
        "level": "error",
        "logentry": {"message": "failed %s", "params": [SECRET], "formatted": f"failed {SECRET}"},
        "exception": {"values": [{"type": "KeyError", "value": SECRET, "stacktrace": {"frames": [frame]}}]},
        "breadcrumbs": {"values": [{"message": SECRET}]},
        "extra": {"stage": "group", "detail": SECRET, **extra},
        "request": {"data": SECRET},
        "user": {"email": SECRET},
    }


def test_no_payload_leaves_the_house() -> None:
    sent = ReportFilter(None)(report(), {})
    assert sent is not None
    assert SECRET not in json.dumps(sent)
    assert sent["exception"]["values"][0]["type"] == "KeyError"
    assert sent["exception"]["values"][0]["stacktrace"]["frames"] == [{"function": "f"}]
    assert sent["extra"] == {"stage": "group"}


def test_nothing_is_reported_about_what_came_from_the_reports_project() -> None:
    filter_ = ReportFilter(own_project_id=9)
    assert filter_(report(project_id=9), {}) is None
    assert filter_(report(project_id=8), {}) is not None


def test_a_storm_is_cut_and_counted() -> None:
    now = [0.0]
    suppressed: list[int] = []
    filter_ = ReportFilter(None, lambda: suppressed.append(1), clock=lambda: now[0])
    sent = [filter_(report(), {}) for _ in range(REPORTS_PER_MINUTE + 5)]
    assert sum(one is not None for one in sent) == REPORTS_PER_MINUTE
    assert len(suppressed) == 5
    now[0] = 61.0
    assert filter_(report(), {}) is not None


@pytest.mark.parametrize("client", ["aiokafka", "aiokafka.consumer.fetcher", "librdkafka"])
def test_a_broker_that_is_away_uses_up_no_reports(client: str) -> None:
    suppressed: list[int] = []
    filter_ = ReportFilter(None, lambda: suppressed.append(1))
    for _ in range(REPORTS_PER_MINUTE + 1):
        assert filter_({**report(), "logger": client}, {}) is None
    assert filter_({**report(), "logger": "pipeline.runtimes.loop"}, {}) is not None
    assert suppressed == []


def test_the_project_of_a_dsn() -> None:
    assert project_of_dsn("https://key@sentry.example/42") == 42
    assert project_of_dsn("https://key@sentry.example/path/42") == 42
    assert project_of_dsn("https://key@sentry.example/") is None
