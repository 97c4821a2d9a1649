"""A flood of one group at 100 times the project's limit: the first event of every other group is stored (docs/adr/0003)."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest
from support.redis_servers import RedisServer

from pipeline.model.category import DataCategory
from pipeline.model.outcome import Fate
from pipeline.model.record import Token
from pipeline.model.scope import Scope
from pipeline.quotas.ledger import Claim, Polled, Sighting
from pipeline.quotas.model import Quota, QuotaScope
from pipeline.quotas.redis_ledger import RedisLedger
from pipeline.redis.client import connect

pytestmark = pytest.mark.redis

LIMIT, FLOOD, RARE = 100, 10_000, 20
SCOPE = Scope(1, 2)
NOW = 4_102_444_800.0


@dataclass(frozen=True)
class Sent:
    group: int
    signature: bytes


def flow(server: RedisServer, quotas: tuple[Quota, ...], events: list[Sent], batch: int = 1_000) -> tuple[list[int], list[bool]]:
    """Take the events through admit and count. Return the groups of those that are stored, and whether each was new."""
    ledger = RedisLedger(connect(server.url, 5))
    groups, news = [], []
    for base in range(0, len(events), batch):
        polled = [Polled("flood", 0, base, base + batch)]
        part = list(enumerate(events[base : base + batch], base))
        claims = [
            Claim(Token("flood", 0, at), SCOPE, DataCategory.ERROR, 1, f"{at:032x}", NOW, quotas, signature=sent.signature)
            for at, sent in part
        ]
        admitted = list(zip(part, ledger.admit(polled, claims, NOW), strict=True))
        passed = [(at, sent, decision) for (at, sent), decision in admitted if decision.fate is Fate.ACCEPTED]
        sightings = [
            Sighting(
                Token("flood", 0, at),
                SCOPE,
                DataCategory.ERROR,
                1,
                f"{at:032x}",
                NOW,
                NOW,
                sent.group,
                (f"hash-{sent.group}",),
                None,
                90,
                quotas,
                reserve_reason=(decision.reason or "") if decision.on_reserve else None,
            )
            for at, sent, decision in passed
        ]
        for (_, sent, _), counted in zip(passed, ledger.count(polled, sightings, NOW), strict=True):
            if counted.decision.fate is Fate.ACCEPTED:
                groups.append(sent.group)
                news.append(counted.is_new)
    ledger.close()
    return groups, news


def flood(rng: random.Random, signatures_per_group: int = 1) -> list[Sent]:
    """One event of each rare group somewhere among the flood, none at its start."""
    events = [Sent(0, rng.randrange(signatures_per_group).to_bytes(8, "big")) for _ in range(FLOOD)]
    for group in range(1, RARE + 1):
        events.insert(rng.randrange(FLOOD // 10, len(events)), Sent(group, (1_000_000 + group).to_bytes(8, "big")))
    return events


def project(reserve: int) -> Quota:
    return Quota("project", QuotaScope.PROJECT, limit=LIMIT, window_s=3600, reason_code="project", reserve=reserve)


GROUP = Quota("group", QuotaScope.GROUP, limit=10, window_s=3600, reason_code="group")


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("quotas", [(project(RARE),), (project(RARE), GROUP)], ids=["reserve", "reserve-and-group-quota"])
def test_first_of_every_group_is_stored(quotas: tuple[Quota, ...], seed: int, server: RedisServer) -> None:
    groups, news = flow(server, quotas, flood(random.Random(seed)))
    assert set(groups) == set(range(RARE + 1))
    assert sum(news) == RARE + 1
    assert len(groups) <= LIMIT + RARE


def test_without_a_reserve_the_flood_hides_them(server: RedisServer) -> None:
    """What the reserve is for: with the limit alone nothing but the flood is seen."""
    groups, _ = flow(server, (project(0),), flood(random.Random(1)))
    assert set(groups) == {0}


def test_a_group_quota_alone_helps_only_between_batches(server: RedisServer) -> None:
    """Charges given back after grouping come too late for the batch that was refused: why both are needed."""
    groups, _ = flow(server, (project(0), GROUP), flood(random.Random(1)))
    assert len(set(groups)) <= RARE // 2
    assert groups.count(0) <= 10


def test_a_reserve_is_not_spent_on_known_groups(server: RedisServer) -> None:
    """A flood that looks different each time takes the reserve in admit; count gives it back as it knows the group."""
    events = [Sent(0, at.to_bytes(8, "big")) for at in range(FLOOD)]
    for group in range(1, RARE + 1):
        events.insert(len(events) - group * 400, Sent(group, (1_000_000 + group).to_bytes(8, "big")))
    groups, _ = flow(server, (project(RARE),), events, batch=50)
    assert groups.count(0) == LIMIT
    with server.client() as client:
        [key] = client.keys("quota:reserve/*")
        assert int(client.get(key) or 0) == len(set(groups)) - 1
