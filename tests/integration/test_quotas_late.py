"""What arrives late, or from a clock that is ahead: counters live as long as a backlog may be old."""

from __future__ import annotations

import time

import pytest
import redis
from support.redis_servers import RedisServer, expiries

from pipeline.model.category import DataCategory
from pipeline.model.record import Token
from pipeline.model.scope import Scope
from pipeline.quotas.ledger import Claim, Decision, Polled, Sighting
from pipeline.quotas.model import Bucket, Quota, QuotaScope, window_at
from pipeline.quotas.redis_ledger import RedisLedger
from pipeline.redis.client import connect

pytestmark = pytest.mark.redis

SCOPE = Scope(1, 7)
ERRORS = frozenset({DataCategory.ERROR})


def admit(ledger: RedisLedger, offset: int, arrival: float, quota: Quota, now: float) -> Decision:
    claim = Claim(Token("t", 0, offset), SCOPE, DataCategory.ERROR, 1, f"{offset:032x}", arrival, (quota,))
    [decision] = ledger.admit([Polled("t", 0, offset, offset + 1)], [claim], now)
    return decision


@pytest.mark.parametrize("window_s", [60, 3_600, 86_400])
@pytest.mark.parametrize("windows_ago", [0, 1])
def test_a_counter_lives_for_late_s_after_its_window(
    window_s: int, windows_ago: int, server: RedisServer, client: redis.Redis
) -> None:
    now, late_s = time.time(), 7_200
    ledger = RedisLedger(connect(server.url, 5), late_s=late_s)
    quota = Quota("q", QuotaScope.PROJECT, limit=10, window_s=window_s)
    window = window_at(now - windows_ago * window_s, window_s, 1)
    admit(ledger, 0, window.start, quota, now)
    [lives_until] = expiries(client, "quota:*").values()
    assert max(window.end, now) + late_s - 2 <= lives_until <= max(window.end, now) + late_s + 60
    ledger.close()


def test_a_refund_into_a_window_that_is_over_takes_effect(server: RedisServer, client: redis.Redis) -> None:
    now = time.time()
    ledger = RedisLedger(connect(server.url, 5), remember_s=0)
    quota = Quota("q", QuotaScope.PROJECT, categories=ERRORS, limit=2, window_s=3_600, reason_code="q")
    late = window_at(now, 3_600, 1).start - 10
    decisions = [admit(ledger, at, late, quota, now) for at in range(3)]
    assert [decision.reason for decision in decisions] == [None, None, "q"]
    given, gone = ledger.refund(SCOPE, DataCategory.ERROR, 1, late, [quota])
    assert (len(given), gone) == (1, [])
    assert [admit(ledger, at, late, quota, now).reason for at in (3, 4)] == [None, "q"]
    assert min(client.ttl(key) for key in client.scan_iter("r:quota:*")) > 3_500
    ledger.close()


def test_a_refund_into_a_window_that_is_gone_says_so(server: RedisServer, client: redis.Redis) -> None:
    ledger = RedisLedger(connect(server.url, 5))
    quota = Quota("q", QuotaScope.PROJECT, categories=ERRORS, limit=2, window_s=3_600)
    given, gone = ledger.refund(SCOPE, DataCategory.ERROR, 1, time.time() - 86_400, [quota])
    assert given == []
    assert [name.partition(":")[0] for name in gone] == ["q{1}7"]
    assert client.keys() == []
    ledger.close()


def test_an_arrival_far_ahead_stops_no_token_bucket(server: RedisServer, client: redis.Redis) -> None:
    now = time.time()
    ledger = RedisLedger(connect(server.url, 5), duplicates=False)
    quota = Quota("b", QuotaScope.PROJECT, bucket=Bucket(2, 1.0), reason_code="b")
    bucket = "bucket:b{1}7"
    admit(ledger, 0, now + 20 * 365 * 86_400, quota, now)
    assert float(client.hget(bucket, "at") or 0) <= now + 86_400
    tomorrow = now + 86_401
    assert [admit(ledger, at, tomorrow + at, quota, tomorrow).reason for at in range(1, 5)] == [None] * 4
    client.hset(bucket, "at", str(now + 20 * 365 * 86_400))  # as an older version left it
    later = tomorrow + 10 * 86_400
    assert [admit(ledger, at, later, quota, later).reason for at in (5, 6, 7)] == [None, "b", "b"]
    later += 86_401
    assert [admit(ledger, at, later + at, quota, later).reason for at in range(8, 12)] == [None] * 4
    ledger.close()


@pytest.mark.parametrize("arrival", [2**32 + 0.0, 1e300, float("inf")])
def test_an_arrival_far_ahead_makes_no_key_that_lives_for_decades(
    arrival: float, server: RedisServer, client: redis.Redis
) -> None:
    now = time.time()
    ledger = RedisLedger(connect(server.url, 5))
    admit(ledger, 0, arrival, Quota("q", QuotaScope.PROJECT, limit=10, window_s=60), now)
    group = Quota("g", QuotaScope.GROUP, limit=10, window_s=60)
    sighting = Sighting(Token("t", 0, 0), SCOPE, DataCategory.ERROR, 1, "a" * 32, arrival, now, 5, ("h",), None, 1, (group,))
    ledger.count([Polled("t", 0, 0, 1)], [sighting], now)
    lives_until = expiries(client, "*")
    assert {key.partition("{")[0] for key in lives_until} >= {"quota:q", "quota:g"}
    assert max(lives_until.values()) < now + 9 * 86_400
    ledger.close()
