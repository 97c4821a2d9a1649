from __future__ import annotations

from pipeline.gateway import abuse
from pipeline.gateway.abuse import RequestLimit


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_nobody_is_limited_unless_configured() -> None:
    limit = RequestLimit(None)
    assert all(limit.wait_s("key") == 0 for _ in range(10_000))


def test_a_sender_has_a_burst_and_then_its_rate() -> None:
    clock = Clock()
    limit = RequestLimit(5, clock)
    assert [limit.wait_s("key") == 0 for _ in range(12)] == [True] * 10 + [False] * 2
    assert 0 < limit.wait_s("key") <= 0.2
    assert limit.wait_s("other") == limit.wait_s(None) == 0
    clock.now += 0.2
    assert limit.wait_s("key") == 0
    assert limit.wait_s("key") > 0
    clock.now += 100
    assert [limit.wait_s("key") == 0 for _ in range(11)] == [True] * 10 + [False]


def test_less_than_one_a_second_is_a_rate_too() -> None:
    clock = Clock()
    limit = RequestLimit(0.1, clock)
    assert limit.wait_s("key") == 0
    assert limit.wait_s("key") == 10
    clock.now += 10
    assert limit.wait_s("key") == 0


def test_many_senders_take_bounded_memory() -> None:
    limit = RequestLimit(5)
    for number in range(3 * abuse.SENDERS_KEPT):
        limit.wait_s(str(number))
    assert len(limit._debts) == abuse.SENDERS_KEPT
