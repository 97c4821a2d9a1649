"""What a real Redis says of our scripts: what is waited for with nothing written, and what is a fault of the call."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import cast

import pytest
import redis
from support.redis_servers import RedisServer

from pipeline.model.category import DataCategory
from pipeline.model.errors import RetryableError
from pipeline.model.record import Token
from pipeline.model.scope import Scope
from pipeline.quotas.ledger import Claim, Polled, Sighting
from pipeline.quotas.model import Bucket, Quota, QuotaScope
from pipeline.quotas.redis_ledger import RedisLedger
from pipeline.redis.client import connect
from pipeline.redis.script import RedisScript

pytestmark = pytest.mark.redis

NOW = 4_102_444_800.0
SCOPE = Scope(1, 2, 3)
QUOTAS = (
    Quota("org", QuotaScope.ORGANIZATION, limit=500, window_s=3600, fair_share=0.5),
    Quota("project", QuotaScope.PROJECT, window_s=3600),
    Quota("smooth", QuotaScope.PROJECT, bucket=Bucket(500, 1.0)),
    Quota("group", QuotaScope.GROUP, limit=500, window_s=3600),
)
SLOT = 1139567


@pytest.fixture
def ledger(server: RedisServer) -> Iterator[RedisLedger]:
    ledger = RedisLedger(connect(server.url, 5))
    yield ledger
    ledger.close()


def run(ledger: RedisLedger) -> None:
    """Take ten polled events and a replayed dead letter through admit and count."""
    polled = [Polled("t", 0, 0, 10)]
    tokens = [*(Token("t", 0, at) for at in range(10)), Token("old", 0, 7)]
    ids = [f"{at:032x}" for at in range(11)]
    ledger.admit(
        polled, [Claim(t, SCOPE, DataCategory.ERROR, 1, id_, NOW, QUOTAS) for t, id_ in zip(tokens, ids, strict=True)], NOW
    )
    ledger.count(
        polled,
        [
            Sighting(t, SCOPE, DataCategory.ERROR, 1, id_, NOW, NOW, 7, ("h",), id_, 90, QUOTAS)
            for t, id_ in zip(tokens, ids, strict=True)
        ],
        NOW,
    )


def dump(client: redis.Redis) -> dict[bytes, object]:
    return {key: client.dump(key) for key in cast("list[bytes]", client.keys())}


@pytest.mark.parametrize("held", ["a text", "a list"])
@pytest.mark.parametrize(
    "key",
    [
        f"quota:org{{1}}:{SLOT}",
        f"quota:project{{1}}2:{SLOT}",
        f"r:quota:project{{1}}2:{SLOT}",
        "bucket:smooth{1}2",
        f"share:org{{1}}:{SLOT}",
        "ledger:admit:{1}t:0",
        "epoch:{1}",
    ],
)
def test_a_key_that_holds_something_else_is_named(key: str, held: str, ledger: RedisLedger, client: redis.Redis) -> None:
    if held == "a list":
        client.rpush(key, "x")
    elif not key.startswith("epoch"):  # any text is an epoch
        client.set(key, "many")
    else:
        return
    before = dump(client)
    for _ in range(2):
        with pytest.raises(RetryableError) as error:
            run(ledger)
        assert key in str(error.value)
    assert dump(client) == before
    client.delete(key)
    run(ledger)
    assert client.get(f"quota:org{{1}}:{SLOT}") == b"11"


@pytest.mark.parametrize("key", ["ledger:count:{1}t:0", "group:{1}2:7", f"quota:group{{1}}2/7:{SLOT}"])
def test_a_key_of_count_that_holds_something_else_is_named(key: str, ledger: RedisLedger, client: redis.Redis) -> None:
    client.rpush(key, "x")
    with pytest.raises(RetryableError) as error:
        run(ledger)
    assert key in str(error.value)
    client.delete(key)
    run(ledger)
    assert client.hget("group:{1}2:7", "seen") == b"11"
    assert client.get(f"quota:project{{1}}2:{SLOT}") == b"11"


@pytest.mark.parametrize("on_unavailable", ["wait", "accept"])
def test_a_bug_in_a_script_is_no_absence(on_unavailable: str, server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting would not mend it: the worker cuts the batch, makes dead letters, and halts at their limit."""
    monkeypatch.setattr("pipeline.quotas.redis_ledger.ADMIT_LUA", "return nosuch.thing")
    ledger = RedisLedger(connect(server.url, 5), on_unavailable="accept" if on_unavailable == "accept" else "wait")
    with pytest.raises(redis.ResponseError, match="nosuch"):
        run(ledger)
    ledger.close()


def test_a_wrong_type_that_no_script_looks_for(server: RedisServer, client: redis.Redis) -> None:
    client.rpush("k", "x")
    with connect(server.url, 5) as connection, pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        RedisScript(connection, "return redis.call('GET', KEYS[1])").run([("k", [])])


def test_too_few_replicas(ledger: RedisLedger, client: redis.Redis) -> None:
    client.config_set("min-replicas-to-write", "1")
    with pytest.raises(RetryableError, match="NOREPLICAS"):
        run(ledger)
    client.config_set("min-replicas-to-write", "0")
    run(ledger)


def test_cut_off_from_its_primary(ledger: RedisLedger, client: redis.Redis) -> None:
    client.config_set("replica-serve-stale-data", "no")
    client.replicaof("127.0.0.1", "1")
    with pytest.raises(RetryableError, match="MASTER"):
        run(ledger)
    client.replicaof("NO", "ONE")
    run(ledger)


def test_busy_with_a_script(server: RedisServer, ledger: RedisLedger, client: redis.Redis) -> None:
    client.config_set("lua-time-limit", "10")

    def spin() -> None:
        with server.client() as other, suppress(redis.ResponseError):
            other.eval("while true do end", 0)

    thread = threading.Thread(target=spin)
    thread.start()
    time.sleep(0.2)
    try:
        with pytest.raises(RetryableError, match="BUSY"):
            run(ledger)
    finally:
        client.script_kill()
        thread.join()
    run(ledger)
