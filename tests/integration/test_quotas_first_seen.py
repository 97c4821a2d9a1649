"""When a group was first seen: the time of its first event, whoever asks, how often, and in which batches."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import redis
from support.redis_servers import RedisServer

from pipeline.model.category import DataCategory
from pipeline.model.record import Token
from pipeline.model.scope import Scope
from pipeline.quotas.ledger import Counted, Polled, Sighting
from pipeline.quotas.redis_ledger import RedisLedger
from pipeline.redis.client import connect

pytestmark = pytest.mark.redis

NOW = 1_795_348_800.0
OLD_TOKEN = b"8 bytes!"

EVENTS = [
    (NOW + 5.25, ("a", "b")),
    (NOW + 1, ("a",)),  # earlier than the first event, but not the first
    (NOW + 9, ("c", "b")),  # a hash of its own, and one of the group's
    (NOW + 7, ("c",)),
    (NOW + 3.125, ("d",)),
    (NOW + 4, ("d", "a")),
]
FIRST_SEEN = [NOW + 5.25] * 4 + [NOW + 3.125] * 2


def sighting(at: int, time: float, hashes: tuple[str, ...]) -> Sighting:
    event_id = f"{at:032x}"
    return Sighting(
        Token("t", 0, at), Scope(1, 2), DataCategory.ERROR, 1, event_id, NOW, time, ord(hashes[0]), hashes, None, 90, ()
    )


def count(server: RedisServer, start: int = 0, end: int = len(EVENTS), leave_out: Sequence[int] = ()) -> list[Counted]:
    """Count some events, as a worker that has just started."""
    ledger = RedisLedger(connect(server.url, 5))
    sightings = [sighting(at, *EVENTS[at]) for at in range(start, end) if at not in leave_out]
    counted = list(ledger.count([Polled("t", 0, start, end, frozenset({1}))], sightings, NOW))
    ledger.close()
    return counted


@pytest.mark.parametrize("size", [1, 2, 4, 6])
def test_any_batch_any_worker_and_any_attempt_give_the_first_event_s_time(
    size: int, server: RedisServer, client: redis.Redis
) -> None:
    for start in range(0, len(EVENTS), size):
        end = min(start + size, len(EVENTS))
        for _ in range(2):
            assert [counted.first_seen for counted in count(server, start, end)] == FIRST_SEEN[start:end]
    assert client.strlen("hash:{1}2:a") == 16


def test_a_group_that_loses_its_first_event_takes_the_time_of_the_next(server: RedisServer, client: redis.Redis) -> None:  # noqa: ARG001 -- empties the server
    assert count(server, end=1)[0].first_seen == NOW + 5.25
    counted = count(server, end=2, leave_out=[0])
    assert [(one.is_new, one.first_seen) for one in counted] == [(True, NOW + 1)]


def test_a_hash_without_a_time_takes_the_earliest_of_its_group_for_good(server: RedisServer, client: redis.Redis) -> None:
    """As older versions wrote it."""
    client.set("hash:{1}2:a", OLD_TOKEN)
    client.hset(f"group:{{1}}2:{ord('a')}", mapping={"seen": 3, "dropped": 0, "first": repr(NOW - 50.5), "last": repr(NOW)})
    assert [(one.is_new, one.first_seen) for one in count(server, end=2)] == [(False, NOW - 50.5)] * 2
    assert (client.get("hash:{1}2:a") or b"")[:8] == OLD_TOKEN
    client.delete(f"group:{{1}}2:{ord('a')}")
    assert [one.first_seen for one in count(server, 2, 4)] == [NOW - 50.5] * 2


def test_a_hash_without_a_time_and_without_a_group_takes_the_event_s(server: RedisServer, client: redis.Redis) -> None:
    client.set("hash:{1}2:d", OLD_TOKEN)
    assert [(one.is_new, one.first_seen) for one in count(server, 4)] == [(False, NOW + 3.125)] * 2


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.usefixtures("client")  # empties the server
def test_a_group_whose_first_event_dies_after_it_was_counted_elects_another(size: int, server: RedisServer) -> None:
    """Its batch is run again without it, whole or in parts. Exactly one of the others becomes the first, and stays it."""
    assert [one.is_new for one in count(server, end=3)] == [True, False, False]
    counted = [one for start in range(0, 3, size) for one in count(server, start, min(start + size, 3), leave_out=[0])]
    assert [(one.is_new, one.first_seen) for one in counted] == [(True, NOW + 1), (True, NOW + 9)]
    assert [(one.is_new, one.first_seen) for one in count(server, 3, 4)] == [(False, NOW + 9)]


@pytest.mark.usefixtures("client")
def test_the_first_is_elected_among_the_stored_events_of_its_group(server: RedisServer) -> None:
    events = [(NOW + at, ("g",)) for at in range(4)]

    def counted(*dead: int) -> list[tuple[bool, float | None]]:
        ledger = RedisLedger(connect(server.url, 5))
        sightings = [sighting(at, *events[at]) for at in range(4) if at not in dead]
        answers = ledger.count([Polled("t", 0, 0, 4)], sightings, NOW)
        ledger.close()
        return [(answer.is_new, answer.first_seen) for answer in answers]

    assert counted() == [(True, NOW)] + [(False, NOW)] * 3
    assert counted(0) == [(True, NOW + 1)] + [(False, NOW + 1)] * 2
    assert counted(0, 1) == [(True, NOW + 2), (False, NOW + 2)]
    assert counted(0, 1, 3) == [(True, NOW + 2)]
