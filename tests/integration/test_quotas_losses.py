"""A Redis that loses what it acknowledged: each loss is noticed, and counted once."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import pytest
import redis
from click.testing import CliRunner, Result
from support.redis_servers import DurableRedis, RedisServer

from pipeline.cli.redis import redis as redis_command
from pipeline.model.category import DataCategory
from pipeline.model.record import Token
from pipeline.model.scope import Scope
from pipeline.quotas.ledger import Claim, Polled, Sighting
from pipeline.quotas.redis_ledger import RedisLedger
from pipeline.redis.client import connect

pytestmark = pytest.mark.redis

NOW = 4_102_444_800.0


@pytest.fixture
def ledger(server: RedisServer) -> Iterator[RedisLedger]:
    ledger = RedisLedger(connect(server.url, 5))
    yield ledger
    ledger.close()


def work(ledger: RedisLedger, partition: int, base: int, organizations: tuple[int, ...] = (1, 2, 3), now: float = NOW) -> None:
    """Take a batch through both calls: an event of each organization."""
    end = base + len(organizations)
    polled = [Polled("t", partition, base, end, frozenset(organizations))]
    claims, sightings = [], []
    for offset, organization in enumerate(organizations, base):
        token, scope, event_id = Token("t", partition, offset), Scope(organization, organization), f"{partition}{offset:031x}"
        claims.append(Claim(token, scope, DataCategory.ERROR, 1, event_id, now, ()))
        sightings.append(Sighting(token, scope, DataCategory.ERROR, 1, event_id, now, now, 5, ("h",), None, 90, ()))
    ledger.admit(polled, claims, now)
    ledger.count(polled, sightings, now)


def test_one_flushall_is_one_loss(server: RedisServer, client: redis.Redis) -> None:
    """However many organizations, partitions, calls and workers notice it."""
    ledgers = [RedisLedger(connect(server.url, 5)) for _ in range(2)]
    base = 0
    for losses in range(3):
        for _ in range(3):
            for partition, ledger in enumerate(ledgers):
                work(ledger, partition, base)
                work(ledger, partition + 2, base, (1,))
            base += 3
        assert sum(ledger.losses for ledger in ledgers) == losses
        client.flushall()
    for ledger in ledgers:
        ledger.close()


def test_an_older_copy_is_one_loss_of_a_worker(ledger: RedisLedger, client: redis.Redis) -> None:
    work(ledger, 0, 0)
    copy = {key: client.dump(key) for key in client.scan_iter("*")}
    work(ledger, 0, 3)
    client.flushall()
    for key, value in copy.items():
        client.restore(key, 0, value or b"")
    for base in (6, 9):
        work(ledger, 0, base)
        assert ledger.losses == 1


def test_a_ledger_that_has_expired_is_no_loss(server: RedisServer, client: redis.Redis) -> None:
    ledger = RedisLedger(connect(server.url, 5), ledger_s=1_000)
    work(ledger, 0, 0, (1,))
    work(ledger, 0, 1, (2,))
    client.delete(*client.keys("ledger:*{1}*"))  # as the server does by itself
    work(ledger, 0, 2, (1,), NOW + 950)
    assert ledger.losses == 0
    client.delete(*client.keys("ledger:*{1}*"))
    work(ledger, 0, 3, (1,), NOW + 1_000)
    assert ledger.losses == 1, "this one was written a moment ago"
    ledger.close()


def test_evicted_keys_are_a_loss(
    ledger: RedisLedger, client: redis.Redis, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("pipeline.quotas.losses.LOOK_EVERY_S", 0.0)
    work(ledger, 0, 0)
    ledger.look_for_losses()
    assert ledger.losses == 0
    client.config_set("maxmemory-policy", "allkeys-lru")
    client.config_set("maxmemory", int(client.info("memory")["used_memory"]) + 200_000)
    for number in range(400):
        client.set(f"filler:{number}", "x" * 2_000)
    ledger.look_for_losses()
    assert ledger.losses == 1
    assert "redis has evicted" in caplog.text
    assert "maxmemory-policy is allkeys-lru" in caplog.text
    client.config_set("maxmemory", 0)
    caplog.clear()
    ledger.look_for_losses()
    assert ledger.losses == 1
    assert caplog.text == "", "a problem is logged once"


def test_a_worker_looks_now_and_then(ledger: RedisLedger, client: redis.Redis, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        for _ in range(10):
            ledger.look_for_losses()
    assert caplog.text.count("appendonly is no") == 1
    assert int(client.info("commandstats")["cmdstat_info"]["calls"]) == 1, "this one is counted when it ends"


def test_a_redis_that_does_not_answer_is_passed_over(server: RedisServer) -> None:
    ledger = RedisLedger(connect(server.url, 0.2))
    server.kill()
    ledger.look_for_losses()
    assert ledger.losses == 0
    server.start()
    ledger.close()


def check(server: RedisServer) -> Result:
    return CliRunner().invoke(redis_command, ["check"], env={"PIPELINE_REDIS_URL": server.url})


def test_check_of_a_redis_that_keeps_its_data() -> None:
    with RedisServer(appendonly="yes", appendfsync="always") as server:
        done = check(server)
    assert (done.exit_code, done.output[:2]) == (0, "ok"), done.output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"appendonly": "no"}, "appendonly is no"),
        ({"appendonly": "yes", "appendfsync": "everysec"}, "appendfsync is everysec"),
        ({"appendonly": "yes", "appendfsync": "always", "maxmemory_policy": "allkeys-lru"}, "maxmemory-policy is allkeys-lru"),
    ],
)
def test_check_of_a_redis_that_loses_data(options: dict[str, str], said: str) -> None:
    with RedisServer(**options) as server:  # type: ignore[arg-type]
        done = check(server)
    assert done.exit_code == 1
    assert done.output.startswith(f"wrong   {said}")


def test_check_without_config_get() -> None:
    """As hosted servers do it."""
    with RedisServer(appendonly="yes", appendfsync="always") as server, server.client() as client:
        client.acl_setuser("default", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-config"])
        done = check(server)
    assert done.exit_code == 0
    assert "remark  appendfsync cannot be read" in done.output


def test_check_names_replicas_and_a_replica() -> None:
    with DurableRedis() as primary, RedisServer(appendonly="yes") as replica:
        with replica.client() as client:
            client.replicaof("127.0.0.1", str(primary.port))
        with primary.client() as client:
            deadline = time.monotonic() + 20
            while not client.info("replication")["connected_slaves"]:
                assert time.monotonic() < deadline
                time.sleep(0.02)
        assert "remark  1 replicas are not waited for" in check(primary).output
        assert "wrong   this is a replica" in check(replica).output
