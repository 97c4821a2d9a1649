"""What `pipeline offsets` reads from Redis and changes there, without a broker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from support.redis_servers import RedisServer

from pipeline.model.category import DataCategory
from pipeline.model.errors import StaleBatchError
from pipeline.model.outcome import Fate
from pipeline.model.record import Token
from pipeline.model.scope import Scope
from pipeline.quotas.ledger import Claim, Polled, Sighting
from pipeline.quotas.model import Quota, QuotaScope
from pipeline.quotas.redis_floors import read_floors, reset_floors
from pipeline.quotas.redis_ledger import RedisLedger
from pipeline.redis.client import connect

pytestmark = pytest.mark.redis

NOW = 4_102_444_800.0
QUOTAS = (Quota("q", QuotaScope.PROJECT, limit=100, window_s=3_600),)


@pytest.fixture
def ledger(server: RedisServer) -> Iterator[RedisLedger]:
    ledger = RedisLedger(connect(server.url, 5), duplicates=False)
    yield ledger
    ledger.close()


def work(ledger: RedisLedger, base: int, end: int, now: float = NOW) -> list[bool]:
    polled = [Polled("T", 0, base, end, frozenset({1}))]
    claims = [Claim(Token("T", 0, at), Scope(1, 7), DataCategory.ERROR, 1, f"{at:032x}", NOW, QUOTAS) for at in range(base, end)]
    assert {decision.fate for decision in ledger.admit(polled, claims, now)} == {Fate.ACCEPTED}
    sightings = [
        Sighting(claim.token, claim.scope, claim.category, 1, claim.event_id, NOW, NOW, 5, ("h",), None, 90, QUOTAS)
        for claim in claims
    ]
    return [answer.is_new for answer in ledger.count(polled, sightings, now)]


def counted(client: redis.Redis) -> tuple[int, int]:
    [quota] = [int(client.get(key) or 0) for key in client.scan_iter("quota:*")]
    return quota, int(client.hget("group:{1}7:5", "seen") or 0)


@pytest.mark.parametrize(("target", "read_again"), [(10, 0), (4, 6), (0, 10)])
def test_a_reset_amid_an_uncommitted_batch_counts_it_once(
    target: int, read_again: int, server: RedisServer, client: redis.Redis, ledger: RedisLedger
) -> None:
    """Offsets below 10 are committed; 10 to 20 were counted and never committed. Only what was stored before counts again."""
    first = work(ledger, 0, 10) + work(ledger, 10, 20)
    assert counted(client) == (20, 20)
    with connect(server.url, 5) as connection:
        assert reset_floors(connection, "T", {0: 10}, {0: target}) == 2
        assert read_floors(connection, "T") == {0: target}
    worker = RedisLedger(connect(server.url, 5), duplicates=False)
    for _ in range(2):
        again = work(worker, target, 20, NOW + 5)
        assert again[10 - target :] == first[10:]
        assert counted(client) == (20 + read_again, 20 + read_again)
    work(worker, 20, 30, NOW + 6)
    assert counted(client) == (30 + read_again, 30 + read_again)
    with pytest.raises(StaleBatchError):
        work(worker, target, 30, NOW + 7)
    worker.close()


def test_a_reset_in_small_batches_counts_an_uncommitted_batch_once(
    server: RedisServer, client: redis.Redis, ledger: RedisLedger
) -> None:
    work(ledger, 0, 10)
    work(ledger, 10, 20)
    with connect(server.url, 5) as connection:
        reset_floors(connection, "T", {0: 10}, {0: 4})
    worker = RedisLedger(connect(server.url, 5), duplicates=False)
    for base in range(4, 20, 4):
        work(worker, base, base + 4, NOW + 5)
    assert counted(client) == (26, 26)
    worker.close()


def test_a_reset_of_what_is_committed_leaves_no_ledger(server: RedisServer, client: redis.Redis, ledger: RedisLedger) -> None:
    work(ledger, 0, 10)
    with connect(server.url, 5) as connection:
        assert reset_floors(connection, "T", {0: 10, 1: 0}, {1: 0}) == 0, "another partition"
        assert reset_floors(connection, "T", {0: 10}, {0: 0}) == 2
        assert read_floors(connection, "T") == {}
    assert client.keys("ledger:*") == []
