"""Redis in trouble: real servers, killed, paused, filled, emptied, set back, made replicas. Nothing is counted twice."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Iterator
from typing import cast

import pytest
import redis
from support.redis_servers import RedisServer

from pipeline.model.category import DataCategory
from pipeline.model.errors import RetryableError, StaleBatchError
from pipeline.model.outcome import Fate
from pipeline.model.record import Token
from pipeline.model.scope import Scope
from pipeline.quotas.ledger import Claim, Counted, Decision, Polled, Sighting
from pipeline.quotas.model import Quota, QuotaScope
from pipeline.quotas.redis_ledger import RedisLedger
from pipeline.redis.client import connect

pytestmark = pytest.mark.redis

NOW = 4_102_444_800.0
SCOPE = Scope(1, 2, 3)
QUOTAS = (
    Quota("org", QuotaScope.ORGANIZATION, limit=500, window_s=3600, reason_code="org"),
    Quota("project", QuotaScope.PROJECT, window_s=3600),
)
ORG_KEY, PROJECT_KEY = "quota:org{1}:1139567", "quota:project{1}2:1139567"


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer(appendonly="yes", appendfsync="always") as server:
        yield server


def admit(ledger: RedisLedger, base: int, end: int, quotas: tuple[Quota, ...] = QUOTAS) -> list[Decision]:
    claims = [Claim(Token("t", 0, at), SCOPE, DataCategory.ERROR, 1, f"{at:032x}", NOW, quotas) for at in range(base, end)]
    return list(ledger.admit([Polled("t", 0, base, end)], claims, NOW))


def count(ledger: RedisLedger, base: int, end: int) -> list[Counted]:
    sightings = [
        Sighting(Token("t", 0, at), SCOPE, DataCategory.ERROR, 1, f"{at:032x}", NOW, NOW, 7, ("hash",), f"id:{at}", 90, QUOTAS)
        for at in range(base, end)
    ]
    return list(ledger.count([Polled("t", 0, base, end)], sightings, NOW))


def patiently(step: object, deadline_s: float = 30.0) -> int:
    """Run a step as a runtime does, again and again while Redis is away. Return the number of failures."""
    assert callable(step)
    deadline, failures = time.monotonic() + deadline_s, 0
    while True:
        try:
            step()
        except RetryableError:
            failures += 1
            assert time.monotonic() < deadline
            time.sleep(0.02)
        else:
            return failures


def value(server: RedisServer, key: str) -> int:
    with server.client() as client:
        return int(cast("bytes", client.get(key) or b"0"))


def test_killed_again_and_again(server: RedisServer) -> None:
    """Kill -9 at random moments; with appendfsync always, what it acknowledged is there when it comes back."""
    ledger = RedisLedger(connect(server.url, 1))
    rng = random.Random(5)
    over = threading.Event()

    def trouble() -> None:
        while not over.is_set():
            time.sleep(rng.uniform(0.01, 0.12))
            server.kill()
            time.sleep(rng.uniform(0.0, 0.05))
            server.start()

    thread = threading.Thread(target=trouble)
    thread.start()
    accepted, firsts, failures = 0, 0, 0
    try:
        for base in range(0, 1_200, 20):
            decisions: list[Decision] = []
            counted: list[Counted] = []
            failures += patiently(lambda b=base, out=decisions: out.extend(admit(ledger, b, b + 20)))
            taken = sum(decision.fate is Fate.ACCEPTED for decision in decisions)
            failures += patiently(lambda b=base, out=counted, n=taken: out.extend(count(ledger, b, b + n)))
            accepted += taken
            firsts += sum(answer.is_new for answer in counted)
            time.sleep(0.01)
    finally:
        over.set()
        thread.join()
    assert failures > 0
    assert accepted == 500 == value(server, ORG_KEY) == value(server, PROJECT_KEY)
    assert firsts == 1
    with server.client() as client:
        assert client.hget("group:{1}2:7", "seen") == b"500"
    assert ledger.losses == 0


def test_paused_then_the_late_call_still_arrives(server: RedisServer) -> None:
    ledger = RedisLedger(connect(server.url, 0.2))
    admit(ledger, 0, 10)
    server.pause()
    pauses = []
    for _ in range(3):
        with pytest.raises(RetryableError) as error:
            admit(ledger, 10, 20)
        pauses.append(error.value.retry_in_s)
    assert pauses == [1.0, 1.0, 1.0]
    server.resume()
    assert patiently(lambda: admit(ledger, 10, 20)) <= 3
    assert value(server, ORG_KEY) == 20


def test_a_call_that_timed_out_is_not_made_once_more(server: RedisServer) -> None:
    ledger = RedisLedger(connect(server.url, 1.5))
    admit(ledger, 0, 10)
    server.pause()
    started = time.monotonic()
    with pytest.raises(RetryableError):
        admit(ledger, 10, 20)
    assert 1.4 < time.monotonic() - started < 2.9
    server.resume()
    ledger.close()


def test_filled(server: RedisServer) -> None:
    ledger = RedisLedger(connect(server.url, 5))
    admit(ledger, 0, 10)
    with server.client() as client:
        client.config_set("maxmemory", "1")
        client.config_set("maxmemory-policy", "noeviction")
        before = sorted(cast("list[bytes]", client.keys()))
        with pytest.raises(RetryableError, match="maxmemory"):
            admit(ledger, 10, 20)
        assert sorted(cast("list[bytes]", client.keys())) == before
        assert value(server, ORG_KEY) == 10
        client.config_set("maxmemory", "0")
    admit(ledger, 10, 20)
    assert value(server, ORG_KEY) == 20


def test_scripts_flushed(server: RedisServer) -> None:
    ledger = RedisLedger(connect(server.url, 5))
    admit(ledger, 0, 10)
    with server.client() as client:
        client.script_flush()
    assert len(admit(ledger, 10, 20)) == 10
    assert value(server, ORG_KEY) == 20


def test_made_a_replica_then_promoted(server: RedisServer) -> None:
    ledger = RedisLedger(connect(server.url, 5))
    admit(ledger, 0, 10)
    with RedisServer(port=0) as primary, server.client() as client:
        client.config_set("replica-serve-stale-data", "yes")
        client.replicaof("127.0.0.1", "1")  # nobody there: it keeps its data, and takes no writes
        with pytest.raises(RetryableError, match=r"(?i)read.?only"):
            admit(ledger, 10, 20)
        client.replicaof("NO", "ONE")
        assert primary.process.poll() is None
    admit(ledger, 10, 20)
    assert value(server, ORG_KEY) == 20


def test_restarted_empty_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    with RedisServer() as server:
        ledger = RedisLedger(connect(server.url, 5))
        admit(ledger, 0, 10)
        assert ledger.losses == 0
        server.kill()
        server.start()
        with caplog.at_level(logging.ERROR):
            admit(ledger, 10, 20)
        assert ledger.losses == 1
        assert "lost" in caplog.text
        assert value(server, ORG_KEY) == 10


def test_set_back_to_an_earlier_moment_is_reported(server: RedisServer) -> None:
    """A failover to a replica that lagged: the epoch is the same, the ledger is an older one."""
    ledger = RedisLedger(connect(server.url, 5))
    admit(ledger, 0, 10)
    with server.client() as client:
        older = cast("bytes", client.get("ledger:admit:{1}t:0"))
        admit(ledger, 10, 20)
        client.set("ledger:admit:{1}t:0", older)
        admit(ledger, 20, 30)
    assert ledger.losses == 1


def test_accept_goes_on_and_says_so(server: RedisServer) -> None:
    ledger = RedisLedger(connect(server.url, 0.2), on_unavailable="accept")
    assert not any(decision.uncounted for decision in admit(ledger, 0, 10))
    server.kill()
    decisions = admit(ledger, 10, 20)
    assert all(decision.fate is Fate.ACCEPTED and decision.uncounted for decision in decisions)
    assert all(answer.decision.uncounted and not answer.is_new for answer in count(ledger, 10, 20))
    assert ledger.uncounted == 10
    server.start()
    assert not any(decision.uncounted for decision in admit(ledger, 20, 30))
    assert value(server, ORG_KEY) == 20


def test_accept_does_not_wait_for_a_hung_redis_in_every_batch(server: RedisServer) -> None:
    ledger = RedisLedger(connect(server.url, 0.2), on_unavailable="accept")
    admit(ledger, 0, 10)
    server.pause()
    started, batches = time.monotonic(), 0
    while time.monotonic() < started + 2:
        base = 10 + 10 * batches
        assert all(decision.uncounted for decision in admit(ledger, base, base + 10))
        assert all(answer.decision.uncounted for answer in count(ledger, base, base + 10))
        batches += 1
    assert batches > 20
    assert ledger.uncounted == 10 * batches
    server.resume()
    deadline, base = time.monotonic() + 30, 10 + 10 * batches
    while any(decision.uncounted for decision in admit(ledger, base, base + 10)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    ledger.close()


@pytest.mark.parametrize("stored", [2**63 - 1, 2**62, 2**62 - 5])
def test_counter_at_the_edge_of_64_bits(stored: int, server: RedisServer) -> None:
    ledger = RedisLedger(connect(server.url, 5))
    with server.client() as client:
        client.set(PROJECT_KEY, stored)
        assert all(decision.fate is Fate.ACCEPTED for decision in admit(ledger, 0, 10))
        assert value(server, ORG_KEY) == 10
        client.set(ORG_KEY, stored)
        assert all(decision.fate is Fate.RATE_LIMITED for decision in admit(ledger, 10, 20))
        assert value(server, ORG_KEY) == stored


def test_counter_that_is_no_number_is_named(server: RedisServer) -> None:
    ledger = RedisLedger(connect(server.url, 5))
    with server.client() as client:
        client.set(PROJECT_KEY, "many")
        with pytest.raises(RetryableError, match="quota:project"):
            admit(ledger, 0, 10)
        assert value(server, ORG_KEY) == 0
        client.delete(PROJECT_KEY)
    admit(ledger, 0, 10)
    assert value(server, ORG_KEY) == 10


def test_a_dead_letters_second_life_is_not_charged_again(server: RedisServer) -> None:
    """It carries the token of its first life, which is outside of what is polled now."""
    ledger = RedisLedger(connect(server.url, 5))
    admit(ledger, 0, 10)
    admit(ledger, 10, 20)
    again = Claim(Token("t", 0, 4), SCOPE, DataCategory.ERROR, 1, f"{4:032x}", NOW, QUOTAS)
    for _ in range(2):
        [decision] = ledger.admit([Polled("t", 0, 20, 21)], [again], NOW)
        assert decision.fate is Fate.ACCEPTED
    other = again._replace(token=Token("t", 0, 20))
    [decision] = ledger.admit([Polled("t", 0, 20, 21)], [other], NOW)
    assert decision == Decision(Fate.INVALID, "duplicate")
    assert value(server, ORG_KEY) == 20


def test_a_limit_that_is_used_up_costs_redis_nothing(server: RedisServer) -> None:
    ledger = RedisLedger(connect(server.url, 5))
    full = (Quota("small", QuotaScope.PROJECT, limit=5, window_s=3600, reason_code="small"),)
    admit(ledger, 0, 10, full)
    with server.client() as client:
        before = cast("redis.Redis", client).info("commandstats")["cmdstat_evalsha"]["calls"]
        decisions = admit(ledger, 10, 20, full)
        assert client.info("commandstats")["cmdstat_evalsha"]["calls"] == before
    assert all(decision.reason == "small" and decision.limits for decision in decisions)
    later = ledger.admit(
        [Polled("t", 0, 20, 21)], [Claim(Token("t", 0, 20), SCOPE, DataCategory.ERROR, 1, "a", NOW, full)], NOW + 2
    )
    assert later[0].reason == "small"
    assert value(server, f"dropped:small{{1}}2:{int(NOW // 86_400)}") == 5 + 10 + 1
    raised = (Quota("small", QuotaScope.PROJECT, limit=50, window_s=3600, reason_code="small"),)
    assert all(decision.fate is Fate.ACCEPTED for decision in admit(ledger, 21, 31, raised))
    ledger.refund(SCOPE, DataCategory.ERROR, 1, NOW, full)


def at(ledger: RedisLedger, base: int, end: int, now: float) -> list[Decision]:
    claims = [Claim(Token("t", 0, at), SCOPE, DataCategory.ERROR, 1, f"{at:032x}", NOW, QUOTAS) for at in range(base, end)]
    return list(ledger.admit([Polled("t", 0, base, end)], claims, now))


def test_clocks_that_run_backwards(server: RedisServer) -> None:
    """New offsets are decided by any clock. The same offsets by an older attempt's clock are a zombie's, for a minute."""
    ledger = RedisLedger(connect(server.url, 5))
    at(ledger, 0, 10, NOW)
    at(ledger, 10, 20, NOW - 5)
    at(ledger, 20, 30, NOW - 86_400)
    at(ledger, 20, 30, NOW)
    with pytest.raises(StaleBatchError):
        at(ledger, 20, 30, NOW - 5)
    at(ledger, 20, 30, NOW - 86_400)
    assert value(server, ORG_KEY) == 30


def test_a_late_copy_of_a_call_changes_nothing(server: RedisServer) -> None:
    """The client makes a call again where its connection broke. Redis may read the first copy after the batch was run again."""
    ledger, copy = RedisLedger(connect(server.url, 5)), RedisLedger(connect(server.url, 5))
    admit(ledger, 0, 10)
    shorter = [
        Claim(Token("t", 0, at), SCOPE, DataCategory.ERROR, 1, f"{at:032x}", NOW, QUOTAS)
        for at in range(9)  # the last one has died
    ]
    ledger.admit([Polled("t", 0, 0, 10)], shorter, NOW)
    assert value(server, ORG_KEY) == 9
    with pytest.raises(StaleBatchError):
        admit(copy, 0, 10)
    assert value(server, ORG_KEY) == 9
    for one in (ledger, copy):
        one.close()


def test_arrivals_of_no_time_and_quantities_of_any_size(server: RedisServer) -> None:
    ledger = RedisLedger(connect(server.url, 5))
    arrivals = [float("nan"), float("inf"), float("-inf"), -1.0, 1e300, 0.0]
    claims = [
        Claim(Token("t", 0, at), SCOPE, DataCategory.ERROR, 2**80 if at % 2 else 1, f"{at:032x}", arrival, (QUOTAS[1],))
        for at, arrival in enumerate(arrivals)
    ]
    assert all(decision.fate is Fate.ACCEPTED for decision in ledger.admit([Polled("t", 0, 0, 6)], claims, NOW))


def test_names_that_try_to_escape(server: RedisServer) -> None:
    """Topics, event ids, users and hashes are strangers' texts: none of them reaches another organization's keys."""
    ledger = RedisLedger(connect(server.url, 5))
    nasty = ["}{2}", "dup:{2}9", "\r\nFLUSHALL\r\n", "\ud800", "a" * 100_000, "\x00", "{1}"]
    for base, text in enumerate(nasty):
        polled = [Polled(text, 0, base, base + 1)]
        token = Token(text, 0, base)
        ledger.admit(polled, [Claim(token, SCOPE, DataCategory.ERROR, 1, text, NOW, QUOTAS)], NOW)
        sighting = Sighting(token, SCOPE, DataCategory.ERROR, 1, text, NOW, NOW, 7, (text,), text, 90, QUOTAS)
        ledger.count(polled, [sighting], NOW)
    with server.client() as client:
        for key in cast("list[bytes]", client.keys()):
            assert key[key.index(b"{") :].startswith(b"{1}"), key
    assert value(server, ORG_KEY) == len(nasty)
