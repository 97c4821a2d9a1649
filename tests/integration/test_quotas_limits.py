"""What replaces or refines a fixed window, each against its rule written plainly: smoothing, spikes, fair shares, samples."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

import pytest
from support.redis_servers import RedisServer

from pipeline.model.category import DataCategory
from pipeline.model.outcome import Fate
from pipeline.model.record import Token
from pipeline.model.scope import Scope
from pipeline.quotas.ledger import Claim, Counted, Polled, Sighting
from pipeline.quotas.model import Bucket, Quota, QuotaScope, Spike
from pipeline.quotas.redis_ledger import RedisLedger
from pipeline.redis.client import connect

pytestmark = pytest.mark.redis

START = 4_102_444_800
HOUR = 3_600


@pytest.fixture
def ledger() -> Iterator[RedisLedger]:
    with RedisServer() as server:
        ledger = RedisLedger(connect(server.url, 5), duplicates=False)
        yield ledger
        ledger.close()


class Sender:
    """Sends events in batches of random sizes; the second time each batch is sent, its answers must be the same."""

    def __init__(self, ledger: RedisLedger, quotas: tuple[Quota, ...], rng: random.Random) -> None:
        self._ledger, self._quotas, self._rng = ledger, quotas, rng
        self._base = 0

    def send(self, events: list[tuple[Scope, int, float]]) -> list[bool]:
        """Return whether each (scope, quantity, arrival) was accepted."""
        accepted: list[bool] = []
        while len(accepted) < len(events):
            part = events[len(accepted) : len(accepted) + self._rng.randint(1, 40)]
            end = self._base + len(part)
            claims = [
                Claim(
                    Token("t", 0, self._base + at),
                    scope,
                    DataCategory.ERROR,
                    quantity,
                    f"{self._base + at:032x}",
                    arrival,
                    self._quotas,
                )
                for at, (scope, quantity, arrival) in enumerate(part)
            ]
            first, again = (
                [v.fate for v in self._ledger.admit([Polled("t", 0, self._base, end)], claims, START)] for _ in range(2)
            )
            assert first == again
            accepted += [fate is Fate.ACCEPTED for fate in first]
            self._base = end
        return accepted


@pytest.mark.parametrize("seed", range(5))
def test_bucket(seed: int, ledger: RedisLedger) -> None:
    """At most `burst` at once; what was taken comes back at `refill_per_s`."""
    rng = random.Random(seed)
    burst, refill = rng.randint(3, 30), rng.choice([0.25, 0.5, 2.0])
    quota = Quota("smooth", QuotaScope.PROJECT, bucket=Bucket(burst, refill), reason_code="smooth")
    arrival, debt, last, events, expected = START, 0.0, START, [], []
    for _ in range(300):
        arrival += rng.choice([0, 0, 0, 0, 0, 0, 0, 0, 1, 5])
        quantity = rng.choice([1, 1, 2])
        debt, last = max(0.0, debt - (arrival - last) * refill), arrival
        expected.append(debt + quantity <= burst)
        debt += quantity if expected[-1] else 0
        events.append((Scope(1, 2), quantity, arrival + 0.0))
    assert Sender(ledger, (quota,), rng).send(events) == expected
    assert True in expected
    assert False in expected


@pytest.mark.parametrize("seed", range(5))
def test_spike(seed: int, ledger: RedisLedger) -> None:
    """The limit of an hour is a multiple of the mean of the project's last hours, or the minimum."""
    rng = random.Random(seed)
    quota = Quota("spike", QuotaScope.PROJECT, window_s=HOUR, spike=Spike(2.0, 4, 10), reason_code="spike")
    history: list[int] = []
    sender = Sender(ledger, (quota,), rng)
    for hour in range(12):
        sent = rng.choice([0, 3, 12, 25, 80])
        limit = max(10, int(2.0 * sum(history[-4:]) / 4))
        accepted = sender.send([(Scope(1, 2), 1, START + hour * HOUR + 100.0)] * sent)
        assert sum(accepted) == min(sent, limit), f"hour {hour} of {history}"
        history.append(sum(accepted))


def test_spike_does_not_raise_its_own_limit(ledger: RedisLedger) -> None:
    """Only what was let through counts as the past: a flood that lasts does not become the new normal at once."""
    quota = Quota("spike", QuotaScope.PROJECT, window_s=HOUR, spike=Spike(2.0, 4, 10), reason_code="spike")
    sender = Sender(ledger, (quota,), random.Random(1))
    accepted = [sum(sender.send([(Scope(1, 2), 1, START + hour * HOUR + 0.0)] * 500)) for hour in range(4)]
    assert accepted == [10, 10, 10, 15]


@pytest.mark.parametrize("seed", range(5))
def test_fair_share_keeps_a_part_for_each_project(seed: int, ledger: RedisLedger) -> None:
    """One loud project takes what is open to all; every other active project still gets its share of what is kept."""
    rng = random.Random(seed)
    limit, part, quiet = 1_000, 0.5, 4
    quota = Quota("org", QuotaScope.ORGANIZATION, limit=limit, window_s=HOUR, fair_share=part, reason_code="org")
    sender = Sender(ledger, (quota,), rng)
    sender.send([(Scope(1, project), 1, START + 0.0) for project in range(quiet + 1)])  # the hour before: all are active
    share = int(limit * part / (quiet + 1))
    now = START + HOUR + 0.0
    loud = sum(sender.send([(Scope(1, 0), 1, now)] * 3_000))
    assert loud == limit * (1 - part) + share
    for project in range(1, quiet + 1):
        assert sum(sender.send([(Scope(1, project), 1, now)] * 3 * share)) == share


def test_fair_share_never_exceeds_the_limit(ledger: RedisLedger) -> None:
    quota = Quota("org", QuotaScope.ORGANIZATION, limit=100, window_s=HOUR, fair_share=0.5, reason_code="org")
    rng = random.Random(3)
    sent = [(Scope(1, rng.randint(0, 20)), 1, START + 0.0) for _ in range(2_000)]
    assert sum(Sender(ledger, (quota,), rng).send(sent)) <= 100


def sightings(quotas: tuple[Quota, ...], base: int, groups: list[int]) -> list[Sighting]:
    return [
        Sighting(
            Token("t", 0, at),
            Scope(1, 2),
            DataCategory.ERROR,
            1,
            f"{at:032x}",
            START,
            START,
            group,
            (f"h{group}",),
            None,
            90,
            quotas,
        )
        for at, group in enumerate(groups, base)
    ]


def test_group_excess_is_sampled(ledger: RedisLedger) -> None:
    """The first `limit` of a group are stored as they are; of the rest, about one in ten, which says so."""
    quotas = (Quota("group", QuotaScope.GROUP, limit=100, window_s=HOUR, sample_rate=0.1, reason_code="group"),)
    counted: list[Counted] = []
    for base in range(0, 5_000, 500):
        counted += ledger.count([Polled("t", 0, base, base + 500)], sightings(quotas, base, [7] * 500), START)
    assert all(answer.decision.fate is Fate.ACCEPTED and answer.sample_rate is None for answer in counted[:100])
    kept = [answer for answer in counted[100:] if answer.decision.fate is Fate.ACCEPTED]
    assert 380 < len(kept) < 600
    assert {answer.sample_rate for answer in kept} == {0.1}
    assert abs(100 + len(kept) / 0.1 - 5_000) < 1_000
    assert Counter(answer.decision.reason for answer in counted) == {None: 100 + len(kept), "group": 4_900 - len(kept)}


def test_new_groups_by_any_known_hash(ledger: RedisLedger) -> None:
    """An event is new where none of its hashes is known, whatever its own group is called."""

    def sight(at: int, group: int, *hashes: str) -> bool:
        [counted] = ledger.count([Polled("t", 0, at, at + 1)], [sightings((), at, [group])[0]._replace(hashes=hashes)], START)
        return counted.is_new

    assert [sight(0, 1, "a", "b"), sight(1, 1, "a"), sight(2, 2, "b", "c"), sight(3, 3, "c"), sight(4, 4, "d")] == [
        True,
        False,
        False,
        False,
        True,
    ]
