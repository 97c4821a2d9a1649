"""Quotas as Relay's own script decides them (suites/ingest/quotas), and its rate-limit headers, on a real Redis."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from support.redis_servers import RedisServer, expiries
from support.suites import Cases, suite_cases

from pipeline.model.category import DataCategory
from pipeline.model.outcome import Fate
from pipeline.model.record import Token
from pipeline.model.scope import Scope
from pipeline.quotas.ledger import Claim, Polled
from pipeline.quotas.model import Quota, QuotaScope
from pipeline.quotas.rate_limit import RateLimit, format_header, parse_header, retry_after
from pipeline.quotas.redis_ledger import RedisLedger
from pipeline.redis.client import connect

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.mark.parametrize("remember_s", [0.0, 1.0], ids=["", "with-local-memory"])
@pytest.mark.parametrize("case", suite_cases("ingest/quotas/*.json"))
def test_scenario(case: dict[str, Any], remember_s: float, server: RedisServer) -> None:
    with server.client() as client:
        client.flushall()
        ledger = RedisLedger(
            connect(server.url, 5),
            duplicates=False,
            max_retry_after_s=case["max_rate_limit"],
            late_s=60,  # as long as Relay keeps a counter after its window
            remember_s=remember_s,
        )
        quotas = tuple(_quota(written) for written in case["quotas"])
        for offset, row in enumerate(case["steps"]):
            step = row["step"]
            scoping = case["scoping"] | step.get("scoping", {})
            scope = Scope(scoping["organization_id"], scoping["project_id"], scoping["key_id"])
            category = DataCategory.from_label(step["category"])
            if "refund" in step:
                ledger.refund(scope, category, step["refund"], step["now"], quotas)
                continue
            claim = Claim(
                Token("suite", 0, offset),
                scope,
                category,
                step["quantity"],
                f"{offset:032x}",
                step["now"],
                quotas,
                step["over_accept_once"],
            )
            [decision] = ledger.admit([Polled("suite", 0, offset, offset + 1)], [claim], step["now"])
            assert (decision.fate is Fate.RATE_LIMITED) == row["limited"]
            assert [_written(limit) for limit in decision.limits] == [_known_scope(limit) for limit in row["rate_limits"]]
        ledger.close()
        assert _counters(client) == case["redis_after"]


def _quota(written: dict[str, Any]) -> Quota:
    scope = written.get("scope", "organization")
    return Quota(
        id=written.get("id"),
        scope=QuotaScope(scope) if scope in set(QuotaScope) else QuotaScope.UNKNOWN,
        scope_id=written.get("scopeId"),
        categories=frozenset(DataCategory.from_label(label) for label in written.get("categories") or ()),
        limit=written.get("limit"),
        window_s=written.get("window"),
        reason_code=written.get("reasonCode"),
    )


def _written(limit: RateLimit) -> dict[str, Any]:
    return {
        "categories": [category.label for category in limit.categories],
        "scope": limit.scope,
        "reason_code": limit.reason_code,
        "retry_after": limit.retry_after_s,
    }


def _known_scope(limit: dict[str, Any]) -> dict[str, Any]:
    """A scope of a later version reads `unknown`."""
    return limit | {
        "scope": limit["scope"] if limit["scope"] in set(QuotaScope) else "unknown",
        "categories": sorted(limit["categories"]),
    }


def _counters(client: redis.Redis) -> dict[str, Any]:
    ends = expiries(client, "*quota:*")
    return {key: {"value": int(client.get(key) or 0), "expireat": end} for key, end in ends.items()}


def _headers(file: Path) -> Cases:
    suite = json.loads(file.read_text())
    return [(f"{kind}-{number}", (kind, row)) for kind in ("format", "parse") for number, row in enumerate(suite[kind], 1)]


@pytest.mark.parametrize("case", suite_cases("ingest/rate_limit_headers.json", _headers))
def test_header(case: tuple[str, dict[str, Any]]) -> None:
    kind, row = case
    if kind == "format":
        limits = [
            RateLimit(
                limit["retry_after"],
                tuple(DataCategory.from_label(label) for label in limit["categories"]),
                limit["scope"],
                limit["reason_code"],
                tuple(limit.get("namespaces", ())),
            )
            for limit in row["rate_limits"]
        ]
        assert format_header(limits) == row["X-Sentry-Rate-Limits"]
        assert retry_after(limits) == row["Retry-After"]
    else:
        assert [_written(limit) for limit in parse_header(row["header"])] == row["limits"]
