"""`pipeline store` as a process, with a real broker and chdb: killed, cut off, filled up; and every message is one row."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from support.kafka_broker import Broker, fresh_settings, produce, read_all
from support.store_process import StoreProcess, outcome_message, read_chdb, storage_message

from pipeline.settings.schema import Settings

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(300)]

EVENTS, OUTCOMES, KILLS = 6_000, 3_000, 6
COUNTS = (
    "SELECT count(), uniqExact(event_id) FROM events",
    "SELECT count(), uniqExact(event_id) FROM event_bodies",
    "SELECT sum(count) FROM group_hours",
    "SELECT group_id, sum(count), uniqMerge(users) FROM group_hours GROUP BY group_id ORDER BY group_id",
    "SELECT value, sum(count) FROM tag_days WHERE key = 'environment' GROUP BY value ORDER BY value",
    "SELECT count(), sum(quantity) FROM outcomes",
    "SELECT sum(count), sum(quantity) FROM outcome_hours",
)


@pytest.fixture
def settings(broker: Broker) -> Settings:
    name = f"{random.getrandbits(32):08x}"
    return fresh_settings(
        broker, partitions=3, events_out_dead_letters=f"events-dlq-{name}", outcomes_dead_letters=f"outcomes-dlq-{name}"
    )


@pytest.fixture
def store(settings: Settings, tmp_path: Path) -> Iterator[StoreProcess]:
    pytest.importorskip("chdb")
    process = StoreProcess(tmp_path, settings)
    yield process
    process.close()


def expected_counts() -> list[list[list[object]]]:
    """Count what the tables must hold, without the code under test."""
    groups = {group: [number for number in range(EVENTS) if number % 20 == group] for group in range(20)}
    quantities = sum(1 + number % 3 for number in range(OUTCOMES))
    return [
        [[EVENTS, EVENTS]],
        [[EVENTS, EVENTS]],
        [[EVENTS]],
        [[1_000 + group, len(numbers), len({number % 50 for number in numbers})] for group, numbers in groups.items()],
        [[f"env-{env}", sum(number % 3 == env for number in range(EVENTS))] for env in range(3)],
        [[OUTCOMES, quantities]],
        [[OUTCOMES, quantities]],
    ]


def feed(broker: Broker, settings: Settings, started: float, seconds: float) -> threading.Thread:
    """Produce all messages from a thread, spread over some seconds, with garbage among them."""

    def run() -> None:
        step = 100
        for first in range(0, EVENTS, step):
            time.sleep(max(0.0, started + seconds * first / EVENTS - time.monotonic()))
            values = [storage_message(number) for number in range(first, first + step)]
            produce(broker, settings.kafka.events_out, [*values, b"garbage %d" % first])
            produce(
                broker, settings.kafka.outcomes, [outcome_message(number) for number in range(first // 2, (first + step) // 2)]
            )
        produce(broker, settings.kafka.outcomes, [b"{}"])

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def test_six_kills_under_load_lose_nothing_and_count_nothing_twice(
    broker: Broker, settings: Settings, store: StoreProcess, tmp_path: Path
) -> None:
    seed = random.randrange(1_000_000)
    chance = random.Random(seed)
    feeder = feed(broker, settings, time.monotonic() + 2, 18.0)
    for _ in range(KILLS):
        store.start(is_ready=False)
        time.sleep(2.0 + 3.0 * chance.random())
        store.kill()
    store.start()
    feeder.join()
    store.wait_for_lag([settings.kafka.events_out, settings.kafka.outcomes])
    assert store.stop() == 0
    assert store.command("check").returncode == 0

    assert read_chdb(tmp_path / "chdb", *COUNTS) == expected_counts(), f"seed {seed}"
    letters = read_all(broker, settings.kafka.events_out_dead_letters)
    assert sorted(message.value() for message in letters) == sorted(b"garbage %d" % first for first in range(0, EVENTS, 100))
    assert {dict(message.headers())["reason"] for message in letters} == {b"invalid_json"}
    assert [message.value() for message in read_all(broker, settings.kafka.outcomes_dead_letters)] == [b"{}"]


def test_a_second_store_on_the_same_folder_is_refused(store: StoreProcess) -> None:
    store.start()
    second = store.command("migrate")
    assert second.returncode == 2
    assert "is used by another process" in second.stderr
    assert str(store.process and store.process.pid) in second.stderr


def test_a_broker_that_goes_away_is_waited_for(store: StoreProcess, settings: Settings, broker: Broker, tmp_path: Path) -> None:
    store.start()
    produce(broker, settings.kafka.events_out, [storage_message(number) for number in range(500)])
    broker.kill()
    time.sleep(3)
    broker.start()
    produce(broker, settings.kafka.events_out, [storage_message(number) for number in range(500, 1_000)])
    store.wait_for_lag([settings.kafka.events_out], 90)
    assert store.stop() == 0
    assert read_chdb(tmp_path / "chdb", COUNTS[0], COUNTS[2]) == [[[1_000, 1_000]], [[1_000]]]


def test_control_messages_are_carried_out(store: StoreProcess, settings: Settings, broker: Broker, tmp_path: Path) -> None:
    about = {"project_id": 7, "datetime": time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())}
    messages = [
        [2, "start_merge", {**about, "previous_group_ids": [1_001], "new_group_id": 1_002}],
        [2, "end_merge", {**about, "previous_group_ids": [1_001], "new_group_id": 1_002}],
        [2, "end_merge", {**about, "previous_group_ids": [1_002], "new_group_id": 1_003}],
        [2, "end_delete_groups", {**about, "group_ids": [1_004]}],
        [2, "tombstone_events", {**about, "event_ids": [f"{9:032x}"]}],
        [2, "banana", about],
    ]
    produce(broker, settings.kafka.events_out, [orjson.dumps(message) for message in messages], partition=0)
    store.start()
    store.wait_for_lag([settings.kafka.events_out])
    assert store.stop() == 0

    groups, deleted, events = read_chdb(
        tmp_path / "chdb",
        "SELECT group_id, into_group FROM group_overrides FINAL WHERE deleted_until = 0 ORDER BY group_id",
        "SELECT group_id FROM group_overrides FINAL WHERE deleted_until > 0",
        "SELECT toString(event_id), into_group FROM event_overrides FINAL",
    )
    assert groups == [[1_001, 1_003], [1_002, 1_003]]
    assert deleted == [[1_004]]
    assert events == [["00000000-0000-0000-0000-000000000009", 0]]
    [letter] = read_all(broker, settings.kafka.events_out_dead_letters)
    assert json.loads(letter.value() or b"")[1] == "banana"
