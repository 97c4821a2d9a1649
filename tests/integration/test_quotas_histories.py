"""Random histories on a real Redis: crashes, redelivery in other shapes, zombies, rules that change (docs/spec/quotas.md).

Whatever happened, the counters must hold what the published decisions add up to. A failing seed is in the message.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial

import pytest
import redis
from support.quota_histories import check, check_firsts, check_spans, live
from support.quota_world import World
from support.redis_servers import RedisServer

from pipeline.quotas.redis_ledger import RedisLedger
from pipeline.redis.client import connect

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
    connection = connect(server.url, 5)
    with server.client() as client:
        for seed in range(block * HISTORIES_PER_TEST, (block + 1) * HISTORIES_PER_TEST):
            client.flushall()
            world = live(seed, lambda: RedisLedger(connection, remember_s=remember_s), rules_change=rules_change)
            check(world, client, seed)
            if not rules_change:
                check_firsts(world, seed)
                check_spans(world, client, seed)
    connection.close()


@pytest.mark.parametrize("block", range(2))
def test_records_that_are_regrouped_or_die_late(block: int, server: RedisServer) -> None:
    """New rules put records into other groups between two attempts, and some records die after they were counted."""
    connection = connect(server.url, 5)
    with server.client() as client:
        for seed in range(block * HISTORIES_PER_TEST, (block + 1) * HISTORIES_PER_TEST):
            client.flushall()
            world = live(seed, lambda: RedisLedger(connection, remember_s=0), rules_change=True, regroups=True, late_deaths=True)
            check(world, client, seed)
    connection.close()


def test_a_group_has_one_first_though_records_die_late(server: RedisServer) -> None:
    """One worker that never crashes: of each group exactly one stored event is the first, and all name its time."""
    connection = connect(server.url, 5)
    with server.client() as client:
        for seed in range(HISTORIES_PER_TEST):
            client.flushall()
            world = World(random.Random(seed), lambda: RedisLedger(connection, remember_s=0), late_deaths=True)
            worker = world.new_worker()
            while not world.is_done:
                world.attempt(worker, never_crashes=True)
            check(world, client, seed)
            check_firsts(world, seed)
    connection.close()


def test_an_emptied_redis_is_reported(server: RedisServer) -> None:
    """At some moment all is gone. A worker that had counted for an organization, and calls for it again, says so."""
    connection = connect(server.url, 5)
    reported = 0
    with server.client() as client:
        for seed in range(100):
            client.flushall()
            worker = RedisLedger(connection, remember_s=0)
            known: set[int] = set()
            live(
                seed,
                partial(_same, worker),
                rules_change=False,
                workers_at_once=1,
                disturb=partial(_flush, client, known, seed % 5),
            )
            called_again = {organization for organization in known if client.exists(f"epoch:{{{organization}}}")}
            assert worker.losses == bool(called_again), f"seed {seed}"
            reported += worker.losses > 0
    connection.close()
    assert reported > 40


def _same(worker: RedisLedger) -> RedisLedger:
    return worker


def _flush(client: redis.Redis, known: set[int], at: int, step: int) -> None:
    if step == at:
        known.update(int(key.rpartition(b"{")[2].rstrip(b"}")) for key in client.scan_iter("epoch:*"))
        client.flushall()


def test_the_histories_hold_what_they_are_for(server: RedisServer) -> None:
    """Crashes alone would pass with less: zombies must be refused, duplicates and limits met, groups rejected."""
    connection = connect(server.url, 5)
    stale, reasons = 0, set()
    with server.client() as client:
        for seed in range(60):
            client.flushall()
            world = live(seed, lambda: RedisLedger(connection, remember_s=0), rules_change=True)
            stale += world.stale
            reasons |= {decision.reason for _, decision, _, _ in world.published.values() if decision is not None}
            reasons |= {counted.decision.reason for _, _, counted, _ in world.published.values() if counted is not None}
    connection.close()
    assert stale > 20
    assert reasons >= {None, "duplicate", "org", "project", "key", "group"}
