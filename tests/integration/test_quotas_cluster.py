"""A real Redis Cluster of three servers: one call per organization, in one pipeline, with the same results."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, cast

import pytest
from redis.cluster import RedisCluster
from support.quota_histories import check, live
from support.redis_servers import redis_cluster

from pipeline.model.category import DataCategory
from pipeline.model.errors import RetryableError
from pipeline.model.outcome import Fate
from pipeline.model.record import Token
from pipeline.model.scope import Scope
from pipeline.quotas.ledger import Claim, Polled
from pipeline.quotas.model import Quota, QuotaScope
from pipeline.quotas.redis_ledger import RedisLedger
from pipeline.redis.client import connect

pytestmark = pytest.mark.redis

NOW = 4_102_444_800.0


@pytest.fixture(scope="module")
def client() -> Iterator[RedisCluster]:
    with redis_cluster() as (url, _):
        client = cast("RedisCluster", connect(url, 5))
        yield client
        client.close()


def test_organizations_on_several_servers(client: RedisCluster) -> None:
    ledger = RedisLedger(client, prefix="spread:")
    quotas = (
        Quota("o", QuotaScope.ORGANIZATION, limit=3, window_s=60, reason_code="o"),
        Quota("p", QuotaScope.PROJECT, window_s=60),
    )
    for _ in range(2):
        claims = [
            Claim(Token("t", 0, at), Scope(at % 40, 1000 + at % 40), DataCategory.ERROR, 1, f"{at:032x}", NOW, quotas)
            for at in range(200)
        ]
        decisions = ledger.admit([Polled("t", 0, 0, 200)], claims, NOW)
        assert Counter(decision.fate for decision in decisions) == {Fate.ACCEPTED: 120, Fate.RATE_LIMITED: 80}
    nodes = Counter(str(cast("Any", client).get_node_from_key(f"spread:epoch:{{{organization}}}")) for organization in range(40))
    assert len(nodes) == 3
    ledger.refund(
        Scope(1, 1001),
        DataCategory.ERROR,
        1,
        NOW,
        (Quota("o", categories=frozenset({DataCategory.ERROR}), limit=3, window_s=60),),
    )
    ledger.remove_all()
    assert list(client.scan_iter(match="spread:*")) == []


@pytest.mark.parametrize("block", range(2))
def test_counters_hold_what_was_published(block: int, client: RedisCluster) -> None:
    for seed in range(block * 25, (block + 1) * 25):
        client.flushall(target_nodes=RedisCluster.PRIMARIES)
        check(live(seed, lambda: RedisLedger(client, remember_s=0), rules_change=True), client, seed)


def test_a_node_that_is_away_is_waited_for() -> None:
    """The other organizations' calls have arrived: when the node is back, all get the decisions that they got before."""
    quotas = (Quota("o", QuotaScope.ORGANIZATION, limit=3, window_s=60, reason_code="o"),)
    claims = [
        Claim(Token("t", 0, at), Scope(at % 40, 1000), DataCategory.ERROR, 1, f"{at:032x}", NOW, quotas) for at in range(200)
    ]
    with redis_cluster() as (url, servers):
        cluster = cast("RedisCluster", connect(url, 1))
        ledger = RedisLedger(cluster)
        servers[2].pause()
        with pytest.raises(RetryableError):
            ledger.admit([Polled("t", 0, 0, 200)], claims, NOW)
        servers[2].resume()
        deadline = time.monotonic() + 60
        while True:
            try:
                decisions = ledger.admit([Polled("t", 0, 0, 200)], claims, NOW)
                break
            except RetryableError:
                assert time.monotonic() < deadline
                time.sleep(0.2)
        assert Counter(decision.fate for decision in decisions) == {Fate.ACCEPTED: 120, Fate.RATE_LIMITED: 80}
        counted = [int(cast("bytes", cluster.get(key))) for key in cluster.scan_iter(match="quota:*")]
        assert counted == [3] * 40
        cluster.close()
