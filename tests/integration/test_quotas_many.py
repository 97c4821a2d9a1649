"""Many quotas that match one event: each is counted, and the one that rejects gives the reason."""

from __future__ import annotations

import pytest
import redis
from support.redis_servers import RedisServer

from pipeline.model.category import DataCategory
from pipeline.model.outcome import Fate
from pipeline.model.record import Token
from pipeline.model.scope import Scope
from pipeline.quotas.ledger import Claim, Decision, Polled, Sighting
from pipeline.quotas.model import Quota, QuotaScope
from pipeline.quotas.redis_ledger import RedisLedger
from pipeline.redis.client import connect

pytestmark = pytest.mark.redis

NOW = 4_102_444_800.0
SLOT = int((NOW - 1) // 60)
MANY = [3, 47, 60, 64, 200]
SCOPE = Scope(1, 7)


def quotas(number: int, tight: int, reserve: int = 0) -> tuple[Quota, ...]:
    """Return quotas of which the one at `tight` lets one event pass, and the others a thousand."""
    return tuple(
        Quota(
            f"q{at}",
            QuotaScope.PROJECT,
            limit=1 if at == tight else 1_000,
            window_s=60,
            reason_code=f"reason {at}",
            reserve=reserve if at == tight else 0,
        )
        for at in range(number)
    )


def claims(offsets: range, own: tuple[Quota, ...]) -> list[Claim]:
    return [
        Claim(Token("t", 0, at), SCOPE, DataCategory.ERROR, 1, f"{at:032x}", NOW, own, signature=at.to_bytes(8, "big"))
        for at in offsets
    ]


@pytest.mark.parametrize("number", MANY)
def test_the_one_that_rejects_gives_the_reason(number: int, server: RedisServer, client: redis.Redis) -> None:
    for tight in (0, number // 2, number - 1):
        client.flushall()
        ledger = RedisLedger(connect(server.url, 5))
        own = quotas(number, tight)
        for _ in range(2):  # the second time it is run again
            decisions = ledger.admit([Polled("t", 0, 0, 3)], claims(range(3), own), NOW)
            assert [(decision.fate, decision.reason) for decision in decisions] == [
                (Fate.ACCEPTED, None),
                (Fate.RATE_LIMITED, f"reason {tight}"),
                (Fate.RATE_LIMITED, f"reason {tight}"),
            ]
        assert {client.get(f"quota:q{at}{{1}}7:{SLOT}") for at in range(number)} == {b"1"}
        ledger.close()


@pytest.mark.parametrize("number", MANY)
def test_a_reserve_beside_many_quotas(number: int, server: RedisServer, client: redis.Redis) -> None:
    """The events of a reserve are admitted, charged to it, rejected by count where their group is known, and given back."""
    ledger = RedisLedger(connect(server.url, 5))
    own = quotas(number, number - 1, reserve=2)
    polled = [Polled("t", 0, 0, 4)]
    reserve = f"quota:reserve/q{number - 1}{{1}}7:{SLOT}"
    for _ in range(2):
        decisions = list(ledger.admit(polled, claims(range(4), own), NOW))
        assert decisions[:3] == [Decision(), *[Decision(reason=f"reason {number - 1}", on_reserve=True)] * 2]
        assert decisions[3].fate is Fate.RATE_LIMITED
        assert client.get(reserve) == b"2"
    for _ in range(2):
        sightings = [
            Sighting(
                Token("t", 0, at), SCOPE, DataCategory.ERROR, 1, f"{at:032x}", NOW, NOW, group, (f"h{group}",), None, 90, own
            )
            for at, group in enumerate([5, 5, 6])
        ]
        sightings[1:] = [sighting._replace(reserve_reason="reserve") for sighting in sightings[1:]]
        counted = ledger.count(polled, sightings, NOW)
        assert [answer.decision.reason for answer in counted] == [None, "reserve", None]
        assert client.get(reserve) == b"1"
        assert client.get(f"quota:q0{{1}}7:{SLOT}") == b"2"
        repeated = ledger.admit(polled, claims(range(4), own), NOW)
        assert [decision.on_reserve for decision in repeated] == [False, True, True, False]
        assert client.get(reserve) == b"1"
    ledger.admit([Polled("t", 0, 0, 4, frozenset({1}))], [], NOW)  # now all of them are filtered
    assert client.get(reserve) == b"0"
    assert client.get(f"quota:q0{{1}}7:{SLOT}") == b"0"
    ledger.close()


@pytest.mark.parametrize("number", MANY)
def test_many_quotas_of_a_group(number: int, server: RedisServer) -> None:
    ledger = RedisLedger(connect(server.url, 5))
    own = tuple(
        Quota(f"g{at}", QuotaScope.GROUP, limit=1 if at == number - 1 else 9, window_s=60, reason_code=f"reason {at}")
        for at in range(number)
    )
    sightings = [
        Sighting(Token("t", 0, at), SCOPE, DataCategory.ERROR, 1, f"{at:032x}", NOW, NOW, 5, ("h",), None, 90, own)
        for at in range(2)
    ]
    for _ in range(2):
        counted = ledger.count([Polled("t", 0, 0, 2)], sightings, NOW)
        assert [answer.decision.reason for answer in counted] == [None, f"reason {number - 1}"]
    ledger.close()
