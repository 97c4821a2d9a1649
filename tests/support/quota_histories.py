"""Random histories of the quota world, and the check that its counters hold what was published."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import cast

from support.quota_world import VERSIONS, World

from pipeline.model.outcome import Fate
from pipeline.quotas.redis_ledger import RedisLedger
from pipeline.redis.client import Client


def live(
    seed: int,
    new_worker: Callable[[], RedisLedger],
    *,
    rules_change: bool,
    replays: bool = False,
    regroups: bool = False,
    late_deaths: bool = False,
    workers_at_once: int = 3,
    disturb: Callable[[int], None] = lambda _: None,
) -> World:
    """Let a world run until everything is committed: restarts, rebalances, crashes, zombies, new rules, other disturbances."""
    rng = random.Random(seed)
    world = World(rng, new_worker, replays=replays, regroups=regroups, late_deaths=late_deaths)
    workers = [new_worker() for _ in range(workers_at_once)]
    for step in range(rng.randint(3, 12)):
        disturb(step)
        at = rng.randrange(workers_at_once)
        if rng.random() < 0.2 and workers_at_once > 1:
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


def check(world: World, client: Client, seed: int) -> None:
    """Compare what Redis holds with what was published."""
    assert _numbers(client, "quota:*", None) == world.expected_counters(), f"seed {seed}"
    seen = world.expected_groups()
    assert _numbers(client, "group:*", "seen") == seen, f"seed {seed}"
    assert _hours(client) == seen, f"seed {seed}"
    accepted = Counter(
        (record.scope.project_id, record.event_id)
        for record, decision, _, _ in world.published.values()
        if decision is not None and decision.fate is Fate.ACCEPTED
    )
    assert not accepted or max(accepted.values()) == 1, f"seed {seed}: an id was admitted twice"


def check_firsts(world: World, seed: int) -> None:
    """No hash has two first events; and while the rules stay the same, what was stored has one, and all name its time."""
    new_by_hash: Counter[str] = Counter()
    stored = set()
    first_seen: dict[str, float | None] = {}
    for record, _, counted, version in world.published.values():
        if counted is not None and counted.decision.fate is Fate.ACCEPTED:
            stored |= set(record.hashes(version))
            assert first_seen.setdefault(record.hashes(version)[0], counted.first_seen) == counted.first_seen, f"seed {seed}"
            assert not counted.is_new or counted.first_seen == record.received, f"seed {seed}"
            if counted.is_new:
                new_by_hash.update(record.hashes(version))
    assert all(new_by_hash[hash_] <= 1 for hash_ in stored), f"seed {seed}"
    for hashes in _components(world):
        assert not hashes & stored or any(new_by_hash[hash_] for hash_ in hashes), f"seed {seed}: a group without a first"


def check_spans(world: World, client: Client, seed: int) -> None:
    """While the rules stay the same, first and last seen are those of the stored events."""
    for key, (first, last) in world.expected_spans().items():
        found = client.hmget(key, ["first", "last"])
        assert [float(value) for value in cast("list[bytes]", found)] == [first, last], f"seed {seed}: {key}"


def _components(world: World) -> list[set[str]]:
    """Hashes that some stored event shares."""
    components: list[set[str]] = []
    for record, _, counted, version in world.published.values():
        if counted is None or counted.decision.fate is not Fate.ACCEPTED:
            continue
        touching = [component for component in components if component & set(record.hashes(version))]
        components = [component for component in components if component not in touching]
        components.append(set(record.hashes(version)).union(*touching))
    return components


def _hours(client: Client) -> Counter[str]:
    """Times seen by group, added up from its hours."""
    found: Counter[str] = Counter()
    for key in client.scan_iter(match="hours:*", count=1_000):
        group = key.decode().rpartition(":")[0].replace("hours:", "group:", 1)
        found[group] += sum(int(value) for value in cast("list[bytes]", client.hvals(key)))
    return found


def _numbers(client: Client, pattern: str, field: str | None) -> Counter[str]:
    found: Counter[str] = Counter()
    for key in client.scan_iter(match=pattern, count=1_000):
        value = client.get(key) if field is None else client.hget(key, field)
        found[key.decode()] = int(cast("bytes", value))
    return Counter({key: value for key, value in found.items() if value})
