"""Rules that are loaded between two attempts at a batch regroup its events: the old groups keep no count of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest
import redis
from support.redis_servers import RedisServer

from pipeline.model.category import DataCategory
from pipeline.model.outcome import Fate
from pipeline.model.record import Token
from pipeline.model.scope import Scope
from pipeline.quotas.ledger import Claim, Counted, Polled, Sighting
from pipeline.quotas.model import Quota, QuotaScope
from pipeline.quotas.redis_ledger import RedisLedger
from pipeline.redis.client import connect

pytestmark = pytest.mark.redis

NOW = 4_102_444_800.0
SCOPE = Scope(1, 2)
QUOTAS = (
    Quota("group", QuotaScope.GROUP, limit=2, window_s=60, reason_code="group"),
    Quota("project", QuotaScope.PROJECT, limit=100, window_s=60),
)
SLOT = int((NOW - 1) // 60)


@pytest.fixture
def ledger(server: RedisServer) -> Iterator[RedisLedger]:
    ledger = RedisLedger(connect(server.url, 5), remember_s=0)
    yield ledger
    ledger.close()


def attempt(ledger: RedisLedger, groups: list[int]) -> list[Counted]:
    polled = [Polled("t", 0, 0, len(groups), frozenset({1}))]
    ids = [f"{at:032x}" for at in range(len(groups))]
    claims = [Claim(Token("t", 0, at), SCOPE, DataCategory.ERROR, 1, id_, NOW, QUOTAS) for at, id_ in enumerate(ids)]
    assert {decision.fate for decision in ledger.admit(polled, claims, NOW)} == {Fate.ACCEPTED}
    sightings = [
        Sighting(Token("t", 0, at), SCOPE, DataCategory.ERROR, 1, ids[at], NOW, NOW + at, group, (f"h{group}",), None, 90, QUOTAS)
        for at, group in enumerate(groups)
    ]
    return list(ledger.count(polled, sightings, NOW))


def test_an_event_leaves_its_old_group(ledger: RedisLedger, client: redis.Redis) -> None:
    assert [answer.is_new for answer in attempt(ledger, [7, 7])] == [True, False]
    for _ in range(2):
        assert [(answer.is_new, answer.first_seen) for answer in attempt(ledger, [7, 8])] == [(True, NOW), (True, NOW + 1)]
        assert {key: client.hget(key, "seen") for key in client.keys("group:*")} == {b"group:{1}2:7": b"1", b"group:{1}2:8": b"1"}
    assert [(answer.is_new, answer.first_seen) for answer in attempt(ledger, [8, 8])] == [(False, NOW + 1), (True, NOW + 1)]
    assert client.keys("group:*") == [b"group:{1}2:8"]
    assert client.keys("hash:*") == [b"hash:{1}2:h8"]


def test_a_group_s_quota_follows_and_gives_back(ledger: RedisLedger, client: redis.Redis) -> None:
    def charged() -> dict[str, bytes]:
        keys = [bytes(key) for key in client.scan_iter("quota:*")]
        return {key.decode(): cast("bytes", client.get(key)) for key in keys if client.get(key) != b"0"}

    assert [answer.decision.reason for answer in attempt(ledger, [7, 7, 7])] == [None, None, "group"]
    assert charged() == {f"quota:group{{1}}2/7:{SLOT}": b"2", f"quota:project{{1}}2:{SLOT}": b"2"}
    for _ in range(2):
        assert [answer.decision.reason for answer in attempt(ledger, [7, 8, 8])] == [None, None, None]
        assert charged() == {
            f"quota:group{{1}}2/7:{SLOT}": b"1",
            f"quota:group{{1}}2/8:{SLOT}": b"2",
            f"quota:project{{1}}2:{SLOT}": b"3",
        }
    assert [answer.decision.reason for answer in attempt(ledger, [8, 8, 8])] == ["group", None, None]
    assert charged()[f"quota:project{{1}}2:{SLOT}"] == b"2"
