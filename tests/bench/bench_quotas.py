"""What quotas cost: microseconds of CPU an event, of the client and of a real redis-server, at 1,000 events a batch.

Run with `scripts/bench quotas`. Budgets (three quotas each): client 3, Redis 4, with duplicates 12; 10 more for each distinct
project in a batch; 1 for an event whose project is known to be over its limit; the same with 10 or 100,000 projects configured;
160 MB per million event ids.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import redis
from support.redis_servers import RedisServer

from pipeline.model.category import DataCategory
from pipeline.model.record import Token
from pipeline.model.scope import Scope
from pipeline.quotas.ledger import Claim, Polled, Sighting
from pipeline.quotas.model import Quota, QuotaScope
from pipeline.quotas.redis_ledger import RedisLedger
from pipeline.redis.client import connect

BATCH, BATCHES, ROUNDS = 1_000, 20, 3
NOW = 4_102_444_800.0
SCOPES = (QuotaScope.ORGANIZATION, QuotaScope.PROJECT, QuotaScope.KEY)


@dataclass(frozen=True)
class Cost:
    """Microseconds of CPU an event."""

    client: float
    redis: float


def three_quotas(limit: int) -> tuple[Quota, ...]:
    return tuple(Quota(scope, scope, limit=limit, window_s=60, reason_code=scope) for scope in SCOPES)


def batches(projects: Sequence[int], quotas: Sequence[tuple[Quota, ...]]) -> Iterable[tuple[Polled, list[Claim]]]:
    """Yield batches whose events take the projects in turn. A project has the quotas at its place, or the only ones."""
    for number in range(BATCHES):
        base = number * BATCH
        claims = [
            Claim(
                Token("bench", 0, base + at),
                Scope(1, project, project),
                DataCategory.ERROR,
                1,
                uuid.uuid4().hex,
                NOW,
                quotas[project % len(quotas)],
            )
            for at in range(BATCH)
            for project in (projects[at % len(projects)],)
        ]
        yield Polled("bench", 0, base, base + BATCH), claims


def admit_cost(projects: Sequence[int], *, duplicates: bool = False, limit: int = 10**9, configured: int = 1) -> Cost:
    """Measure admit; the first batch, which fills every cache, is left out. The least of some rounds: the machine is shared."""
    costs = []
    for _ in range(ROUNDS):
        with RedisServer() as server, server.client() as client:
            ledger = RedisLedger(connect(server.url, 5), duplicates=duplicates)
            work = list(batches(projects, [three_quotas(limit) for _ in range(configured)]))
            ledger.admit([work[0][0]], work[0][1], NOW)
            redis_before, client_before = _redis_cpu_s(client), time.process_time()
            for polled, claims in work[1:]:
                ledger.admit([polled], claims, NOW)
            client_s, redis_s = time.process_time() - client_before, _redis_cpu_s(client) - redis_before
            events = (BATCHES - 1) * BATCH / 1e6
            costs.append(Cost(client_s / events, redis_s / events))
            ledger.close()
    return Cost(min(cost.client for cost in costs), min(cost.redis for cost in costs))


def count_cost(groups: int) -> Cost:
    """Measure count, with events going round so many groups, each with users of its own."""
    quotas = (Quota("group", QuotaScope.GROUP, limit=10**9, window_s=60),)
    with RedisServer() as server, server.client() as client:
        ledger = RedisLedger(connect(server.url, 5))
        work = [
            [
                Sighting(
                    Token("bench", 0, at),
                    Scope(1, 2),
                    DataCategory.ERROR,
                    1,
                    f"{at:032x}",
                    NOW,
                    NOW,
                    at % groups,
                    (f"{at % groups:032x}",),
                    f"id:{at}",
                    90,
                    quotas,
                )
                for at in range(base, base + BATCH)
            ]
            for base in range(0, BATCH * BATCHES, BATCH)
        ]
        redis_before, client_before = _redis_cpu_s(client), time.process_time()
        for number, sightings in enumerate(work):
            ledger.count([Polled("bench", 0, number * BATCH, (number + 1) * BATCH)], sightings, NOW)
        events = BATCHES * BATCH / 1e6
        cost = Cost((time.process_time() - client_before) / events, (_redis_cpu_s(client) - redis_before) / events)
        ledger.close()
    return cost


def duplicate_bytes(events: int = 1_000_000) -> float:
    """Measure Redis's memory for an event id."""
    with RedisServer() as server, server.client() as client:
        ledger = RedisLedger(connect(server.url, 5))
        scope = Scope(4_505_000_000_000_001, 4_505_000_000_000_002)
        for base in range(0, events, BATCH):
            claims = [
                Claim(Token("bench", 0, at), scope, DataCategory.ERROR, 1, uuid.uuid4().hex, NOW, ())
                for at in range(base, base + BATCH)
            ]
            ledger.admit([Polled("bench", 0, base, base + BATCH)], claims, NOW)
            if base == 0:
                before = int(client.info("memory")["used_memory"])
        ledger.close()
        return (int(client.info("memory")["used_memory"]) - before) / (events - BATCH)


def _redis_cpu_s(client: redis.Redis) -> float:
    info = client.info("cpu")
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


def main() -> None:
    rows = {
        "one project": admit_cost([2]),
        "ten projects": admit_cost(range(2, 12)),
        "ten projects, duplicates": admit_cost(range(2, 12), duplicates=True),
        "10 of 100,000 configured": admit_cost(range(0, 100_000, 10_000), configured=100_000),
        "1,000 projects in a batch": admit_cost(range(2, 1_002)),
        "one project over its limit": admit_cost([2], limit=10),
        "count, ten groups": count_cost(10),
        "count, 1,000 groups": count_cost(1_000),
    }
    print(f"{'µs of CPU an event':30} {'client':>8} {'redis':>8}")
    for name, cost in rows.items():
        print(f"{name:30} {cost.client:8.2f} {cost.redis:8.2f}")
    print(f"{'bytes for an event id':30} {duplicate_bytes():8.0f}")


if __name__ == "__main__":
    main()
