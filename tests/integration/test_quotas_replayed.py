"""Replayed dead letters: they carry the tokens of their first lives, outside of what is polled, and many come at once."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import cast

import pytest
import redis
from support.quota_histories import check, check_firsts, check_spans, live
from support.redis_servers import RedisServer

from pipeline.model.category import DataCategory
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
    Quota("org", QuotaScope.ORGANIZATION, limit=1_000_000, window_s=3600, reason_code="org"),
    Quota("project", QuotaScope.PROJECT, window_s=3600),
    Quota("group", QuotaScope.GROUP, limit=1_000_000, window_s=3600, reason_code="group"),
)
MANY = 1_000
ORG_KEY = "quota:org{1}:1139567"


@pytest.fixture
def ledger(server: RedisServer) -> Iterator[RedisLedger]:
    ledger = RedisLedger(connect(server.url, 30), remember_s=0)
    yield ledger
    ledger.close()


def admit(
    ledger: RedisLedger, polled: Polled, tokens: Sequence[Token], ids: Sequence[str], quotas: tuple[Quota, ...] = QUOTAS
) -> list[Decision]:
    claims = [Claim(token, SCOPE, DataCategory.ERROR, 1, id_, NOW, quotas) for token, id_ in zip(tokens, ids, strict=True)]
    return list(ledger.admit([polled], claims, NOW))


def count(ledger: RedisLedger, polled: Polled, tokens: Sequence[Token], ids: Sequence[str]) -> list[Counted]:
    """Every offset is a group of its own."""
    sightings = [
        Sighting(token, SCOPE, DataCategory.ERROR, 1, id_, NOW, NOW, token.offset, (f"h{token.offset}",), id_, 90, QUOTAS)
        for token, id_ in zip(tokens, ids, strict=True)
    ]
    return list(ledger.count([polled], sightings, NOW))


def ids_of(tokens: Sequence[Token], generation: int = 0) -> list[str]:
    return [f"{generation:08x}{token.partition:08x}{token.offset:016x}" for token in tokens]


def script_ms(client: redis.Redis, step: Callable[..., object], *arguments: object) -> float:
    """Return how long the scripts of a step kept Redis from answering anybody else."""

    def spent() -> float:
        stats = cast("dict[str, dict[str, float]]", client.info("commandstats"))
        return sum(stats.get(name, {}).get("usec", 0) for name in ("cmdstat_evalsha", "cmdstat_eval")) / 1_000

    before = spent()
    step(*arguments)
    return spent() - before


@pytest.mark.parametrize("partitions", [1, 4, 250])
def test_many_cost_what_polled_ones_cost(partitions: int, ledger: RedisLedger, client: redis.Redis) -> None:
    """First brought, brought again, and brought with other ids. Each kept the tables of all before: seconds, and 100 MB."""
    first = [Token("t", 0, at) for at in range(MANY)]
    polled = Polled("t", 0, 0, MANY)
    usual = [script_ms(client, step, ledger, polled, first, ids_of(first)) for step in (admit, count)]
    usual_bytes = ledger_bytes(client)

    replayed = [Token("old", at % partitions, at) for at in range(MANY)]
    for generation in (1, 1, 2):
        polled = Polled("t", 0, polled.end, polled.end + 1)
        ids = ids_of(replayed, generation)
        took = [script_ms(client, step, ledger, polled, replayed, ids) for step in (admit, count)]
        assert sum(took) < 10 * sum(usual), f"{took} ms instead of {usual}"
    assert ledger_bytes(client) < 6 * usual_bytes


def ledger_bytes(client: redis.Redis) -> int:
    return sum(cast("int", client.memory_usage(key)) for key in client.scan_iter(match="ledger:*", count=1_000))


def test_brought_again_in_other_batches(ledger: RedisLedger, client: redis.Redis) -> None:
    """However they are cut into batches, each is charged and counted once, and gets the answer that it got before."""
    rng = random.Random(11)
    tokens = [Token("t" if partition < 3 else "old", partition, at) for partition in range(6) for at in range(0, 60, 2)]
    limited = (Quota("org", QuotaScope.ORGANIZATION, limit=100, window_s=3600, reason_code="org"),)
    answers: dict[Token, tuple[Decision, Counted | None]] = {}
    base = 1_000
    for _ in range(40):
        some = rng.sample(tokens, rng.randint(1, len(tokens)))
        base += 10
        polled = Polled("t", 0, base, base + 10)
        decisions = admit(ledger, polled, some, ids_of(some), limited)
        passed = [token for token, decision in zip(some, decisions, strict=True) if decision.fate is Fate.ACCEPTED]
        counted = dict(zip(passed, count(ledger, polled, passed, ids_of(passed)), strict=True))
        for token, decision in zip(some, decisions, strict=True):
            answer = (Decision(decision.fate, decision.reason), counted.get(token))
            assert answers.setdefault(token, answer) == answer
    assert Counter(decision.fate for decision, _ in answers.values()) == {Fate.ACCEPTED: 100, Fate.RATE_LIMITED: 80}
    assert client.get(ORG_KEY) == b"100"
    assert sum(int(client.hget(key, "seen") or 0) for key in client.scan_iter(match="group:*")) == 100


def test_what_an_earlier_attempt_charged_is_taken_back(ledger: RedisLedger, client: redis.Redis) -> None:
    """Also where the rules now refuse at once, so that the event itself is not sent to Redis any more."""
    tokens = [Token("old", 0, at) for at in range(10)]
    admit(ledger, Polled("t", 0, 50, 51), tokens, ids_of(tokens))
    assert client.get(ORG_KEY) == b"10"
    closed = (Quota(None, QuotaScope.PROJECT, limit=0, reason_code="closed"),)
    admit(ledger, Polled("t", 0, 50, 51), tokens[:4], ids_of(tokens[:4]), closed)
    assert client.get(ORG_KEY) == b"6"
    admit(ledger, Polled("t", 0, 50, 51), tokens[4:], ids_of(tokens[4:], 1))
    assert client.get(ORG_KEY) == b"6"


def test_a_call_that_was_sent_twice(ledger: RedisLedger, client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client sends a call again when its connection broke: the same call, by the same name."""
    monkeypatch.setattr("pipeline.quotas.redis_ledger.secrets.token_hex", lambda _: "0123456789abcdef")
    tokens = [Token("old", 0, at) for at in range(10)]
    for _ in range(3):
        admit(ledger, Polled("t", 0, 50, 51), tokens, ids_of(tokens))
        assert all(counted.is_new for counted in count(ledger, Polled("t", 0, 50, 51), tokens, ids_of(tokens)))
    assert client.get(ORG_KEY) == b"10"
    assert client.hget("group:{1}2:3", "seen") == b"1"


def test_what_is_kept_of_them_expires(server: RedisServer, client: redis.Redis) -> None:
    ledger = RedisLedger(connect(server.url, 5), ledger_s=1_000)
    tokens = [Token("old", at % 2, at) for at in range(10)]
    for some in (tokens, tokens[:5], tokens[3:]):
        admit(ledger, Polled("t", 0, 50, 51), some, ids_of(some))
        count(ledger, Polled("t", 0, 50, 51), some, ids_of(some))
    keys = list(client.scan_iter(match="ledger:*"))
    assert len(keys) >= 2 * len(tokens)
    assert all(0 < client.ttl(key) <= 1_000 for key in keys)
    ledger.close()


@pytest.mark.parametrize("block", range(2))
def test_random_histories(block: int, server: RedisServer, client: redis.Redis) -> None:
    connection = connect(server.url, 5)
    for seed in range(block * 100, (block + 1) * 100):
        client.flushall()
        world = live(seed, lambda: RedisLedger(connection, remember_s=0), rules_change=False, replays=True)
        check(world, client, seed)
        check_firsts(world, seed)
        check_spans(world, client, seed)
    connection.close()
