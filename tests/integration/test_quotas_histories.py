"""Random histories on a real Redis: crashes, redelivery in other shapes, zombies, rules that change (design, section 6).

Whatever happened, the counters must hold what the published decisions add up to. A failing seed is in the test's name.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any, cast

import pytest
import redis
from support.quota_world import VERSIONS, World
from support.redis_servers import RedisServer

from pipeline.model.outcome import Fate
from pipeline.quotas.redis_client import connect
from pipeline.quotas.redis_ledger import RedisLedger

pytestmark = pytest.mark.redis

HISTORIES_PER_TEST = 125


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.mark.parametrize("remember_s", [0.0, 5.0], ids=["no-local-memory", "local-memory"])
@pytest.mark.parametrize("rules_change", [False, True], ids=["same-rules", "rules-change"])
@pytest.mark.parametrize("block", range(4))
def test_counters_hold_what_was_published(block: int, rules_change: bool, remember_s: float, server: RedisServer) -> None:
    client = server.client()
    connection = connect(server.url, 5)
    for seed in range(block * HISTORIES_PER_TEST, (block + 1) * HISTORIES_PER_TEST):
        client.flushall()
        world = live(seed, lambda: RedisLedger(connection, remember_s=remember_s), rules_change=rules_change)
        check(world, client, seed)
        if not rules_change:
            check_firsts(world, seed)
    connection.close()
    client.close()


def live(seed: int, new_worker: Any, *, rules_change: bool) -> World:
    """Let a world run until everything is committed."""
    rng = random.Random(seed)
    world = World(rng, new_worker)
    workers = [new_worker() for _ in range(3)]
    for _ in range(rng.randint(3, 12)):
        at = rng.randrange(3)
        if rng.random() < 0.2:
            workers[at] = new_worker()  # a restart: local memories are gone
        if rules_change and rng.random() < 0.3:
            world.version = rng.randrange(VERSIONS)
        if world.frozen and rng.random() < 0.3:
            world.wake(new_worker())
        world.attempt(workers[at])
    while not world.is_done:
        world.attempt(workers[0], end_well=True)
    while world.frozen:
        world.wake(new_worker())
    return world


def check(world: World, client: redis.Redis, seed: int) -> None:
    assert counters(client) == world.expected_counters(), f"seed {seed}"
    assert groups(client) == world.expected_groups(), f"seed {seed}"
    accepted = Counter(
        (record.scope.project_id, record.event_id)
        for record, verdict, _ in world.published.values()
        if verdict is not None and verdict.fate is Fate.ACCEPTED
    )
    assert not accepted or max(accepted.values()) == 1, f"seed {seed}: an id was admitted twice"


def check_firsts(world: World, seed: int) -> None:
    """Each set of hashes that touch has exactly one first event, and it is the only one of them that is new."""
    new_by_hash: Counter[str] = Counter()
    stored = set()
    for record, _, counted in world.published.values():
        if counted is not None and counted.verdict.fate is Fate.ACCEPTED:
            stored |= set(record.hashes)
            if counted.is_new:
                new_by_hash.update(record.hashes)
    assert all(new_by_hash[hash_] <= 1 for hash_ in stored), f"seed {seed}"
    groups_with_first = {hash_ for hash_ in stored if new_by_hash[hash_]}
    assert bool(stored) == bool(groups_with_first), f"seed {seed}"


def counters(client: redis.Redis) -> Counter[str]:
    found = {key.decode(): int(cast("bytes", client.get(key))) for key in cast("list[bytes]", client.keys("quota:*"))}
    return Counter({key: value for key, value in found.items() if value})


def groups(client: redis.Redis) -> Counter[str]:
    found = {key.decode(): int(cast("bytes", client.hget(key, "seen"))) for key in cast("list[bytes]", client.keys("group:*"))}
    return Counter({key: value for key, value in found.items() if value})
