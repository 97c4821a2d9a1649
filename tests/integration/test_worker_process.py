"""The worker's process as an operator runs it: `pipeline worker` on a real broker and a real Redis."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from typing import Any

import aiokafka
import orjson
import pytest
from confluent_kafka import Producer
from support.installation import ROOT, Installation, free_port, until
from support.kafka_broker import admin, produce, read_all
from support.snuba import check_outcome, check_published_event

from pipeline.runtimes.generated_events import generate_events, ingest_message
from pipeline.settings.schema import Settings

pytestmark = [pytest.mark.kafka, pytest.mark.redis, pytest.mark.slow]


def test_from_start_to_sigterm(installation: Installation) -> None:
    process = installation.worker()
    installation.feed(300)
    until(lambda: len(installation.stored()) == 300)

    assert json.loads(installation.get("/health"))["alive"] is True
    assert json.loads(installation.get("/rules"))["refused"] is None
    metrics = installation.get("/metrics").decode()
    assert "pipeline_events_total 300.0" in metrics
    assert 'pipeline_outcomes_total{category="error",outcome="accepted",reason=""} 300.0' in metrics
    until(lambda: installation.counted() == 300)

    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0, "1 would say that the batch did not end in time"
    lines = [json.loads(line) for line in installation.log().splitlines() if line.startswith("{")]
    assert {"time", "level", "logger", "message"} <= lines[0].keys()
    assert len(lines) < 100, "a line per event"


def test_a_taken_web_port_is_said_before_anything_starts(installation: Installation) -> None:
    with socket.create_server(("127.0.0.1", installation.port)):
        done = installation.pipeline("worker", check=False)
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith("settings: web.host and web.port: Address already in use")
    assert str(installation.port) in line


def test_a_stock_consumer_reads_what_snuba_takes(installation: Installation) -> None:
    """Recorded events in; on the other side aiokafka as it comes, Snuba's checks, its key and its headers."""
    installation.worker()
    installation.pipeline("load", str(ROOT / "tests/fixtures/recorded"), "--count", "60")

    async def read() -> list[Any]:
        consumer = aiokafka.AIOKafkaConsumer(
            installation.settings.kafka.events_out,
            bootstrap_servers=installation.broker.address,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            enable_auto_commit=False,
        )
        await consumer.start()
        try:
            return [await asyncio.wait_for(consumer.getone(), 60) for _ in range(60)]
        finally:
            await consumer.stop()

    messages = asyncio.run(read())
    assert len(messages) == 60
    for message in messages:
        assert check_published_event(message.value) == []
        event = orjson.loads(message.value)[2]
        headers = dict(message.headers)
        assert message.key == str(event["project_id"]).encode()
        assert (headers["operation"], headers["version"]) == (b"insert", b"2")
        assert headers["event_id"].decode() == event["event_id"]
    outcomes = [orjson.loads(one.value() or b"") for one in read_all(installation.broker, installation.settings.kafka.outcomes)]
    assert [check_outcome(outcome) for outcome in outcomes if check_outcome(outcome)] == []


def test_live_counts_leave_out_what_was_aborted(installation: Installation) -> None:
    """What came before the agent had its partitions is counted too, as far as its minute is still shown."""
    kafka = installation.settings.kafka
    producer = Producer({"bootstrap.servers": kafka.brokers, "transactional.id": kafka.consumer_group + "-test"})
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(kafka.outcomes, orjson.dumps({"project_id": 1, "outcome": 1, "category": 1, "quantity": 1_000}))
    producer.flush()
    producer.abort_transaction(20)
    an_hour_ago = round((time.time() - 3_600) * 1e3)
    outcome = orjson.dumps({"project_id": 1, "outcome": 1, "category": 1, "quantity": 1})
    produce(installation.broker, kafka.outcomes, [outcome], timestamp=an_hour_ago)
    produce(installation.broker, kafka.outcomes, [outcome] * 3)
    installation.worker()
    installation.feed(5)
    until(lambda: installation.counted() == 8, what=lambda: str(installation.counted()))


def test_live_counts_have_what_goes_to_billing(installation: Installation) -> None:
    """Accepted outcomes go there, and what is invalid does not; both are counted."""
    billing = f"{installation.settings.kafka.outcomes}-billing"
    settings = installation.folder / "settings.toml"
    settings.write_text(settings.read_text().replace("[kafka]", f'[kafka]\noutcomes_billing = "{billing}"'))
    installation.pipeline("topics", "create", "--partitions", "3")
    installation.worker()
    installation.feed(5)
    repeated = [ingest_message(next(generate_events(9, frames=1)), 1)[1]] * 3
    produce(installation.broker, installation.settings.kafka.events_in, repeated)
    until(lambda: installation.counted() == 8, what=lambda: installation.get("/counts?minutes=5").decode())
    fates = {
        name: [orjson.loads(one.value() or b"")["outcome"] for one in read_all(installation.broker, name)]
        for name in (billing, installation.settings.kafka.outcomes)
    }
    assert set(fates[billing]) == {0}
    assert set(fates[installation.settings.kafka.outcomes]) == {3}


def test_live_counts_are_the_same_on_every_worker_whichever_come_and_go(installation: Installation) -> None:
    """Each reads all that any of them wrote, from its first minute on, and nothing twice."""
    installation.worker()
    first_port, installation.port = installation.port, free_port()
    installation.feed(300)
    until(lambda: len(installation.stored()) == 300)
    installation.write_settings("[batch]", "max_records = 20")
    killed = installation.worker()
    installation.feed(300, seed=2)
    until(lambda: len(installation.stored()) == 600)
    until(lambda: installation.counted() == 600, what=lambda: str(installation.counted()))
    killed.kill()
    installation.port = free_port()
    installation.write_settings("[batch]", "max_records = 30")
    installation.worker()
    third_port = installation.port
    installation.feed(300, seed=3)
    until(lambda: len(installation.stored()) == 900)
    for installation.port in (first_port, third_port):
        until(lambda: installation.counted() >= 900, what=lambda: str(installation.counted()))
    time.sleep(3.0)  # what counts twice would come
    for installation.port in (first_port, third_port):
        assert installation.counted() == 900


def test_live_counts_can_be_left_out(installation: Installation) -> None:
    installation.write_settings("live_counts = false")
    installation.worker()
    installation.feed(5)
    until(lambda: len(read_all(installation.broker, installation.settings.kafka.outcomes)) >= 1)
    assert len(installation.stored()) == 5
    assert json.loads(installation.get("/health"))["alive"] is True
    time.sleep(2.0)  # an agent that counts needs less
    assert installation.counted() == 0


def test_a_second_signal_leaves_at_once_and_loses_nothing(installation: Installation) -> None:
    process = installation.worker()
    installation.feed(2_000)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 130, "0 would say that it finished its batch"
    installation.worker()
    until(lambda: len(installation.stored()) >= 2_000, 90)
    stored = installation.stored()
    assert len(stored) == len({event["event_id"] for event in stored}) == 2_000


def test_redis_away_pauses_and_comes_back(installation: Installation) -> None:
    installation.worker()
    installation.redis.kill()
    installation.feed(100)
    until(lambda: installation.ready().get("state") == "waiting")
    assert "redis" in installation.ready()["why"]
    assert json.loads(installation.get("/health"))["alive"] is True
    assert installation.stored() == []
    installation.redis.start()
    until(lambda: len(installation.stored()) == 100)
    until(lambda: installation.ready().get("ready") is True)


def test_a_broker_that_is_away_is_said_though_nothing_is_to_do(installation: Installation) -> None:
    installation.worker()
    installation.feed(20)
    until(lambda: installation.counted() == 20)  # Faust, too, is up: it ends a process that loses its broker while starting
    installation.broker.kill()
    try:
        until(lambda: installation.ready().get("state") == "waiting")
        assert installation.ready()["why"] == "kafka: no broker can be reached"
        assert json.loads(installation.get("/health"))["alive"] is True
        until(lambda: installation.ready().get("partitions") == [])  # longer than the session: what comes back is a new member
    finally:
        installation.broker.start()
    until(lambda: installation.ready().get("ready") is True)
    installation.feed(20, seed=2)
    until(lambda: len(installation.stored()) == 40)
    assert [line for line in installation.log().splitlines() if line.startswith("%")] == [], "every line is JSON"


def test_a_worker_that_starts_while_kafka_is_away_says_so_and_waits(installation: Installation) -> None:
    installation.broker.kill()
    try:
        process = installation.start_worker()
        until(lambda: "why" in installation.ready(), 15, installation.log)
        until(lambda: installation.ready()["why"] == "kafka: no broker can be reached", 10)
        assert (installation.ready()["state"], installation.ready()["ready"]) == ("starting", False)
        assert json.loads(installation.get("/health"))["alive"] is True
        lines = len(installation.log().splitlines())
        time.sleep(10)
        assert len(installation.log().splitlines()) - lines < 10
        assert process.poll() is None
    finally:
        installation.broker.start()
    until(lambda: installation.ready().get("ready") is True)
    installation.feed(20)
    until(lambda: len(installation.stored()) == 20)
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0
    assert "the worker has ended" in installation.log().splitlines()[-1]


def test_a_worker_leaves_no_consumer_group_but_its_own_and_shows_nothing_of_fausts(installation: Installation) -> None:
    installation.worker()
    installation.feed(5)
    until(lambda: installation.counted() == 5)
    client = admin(installation.broker)
    groups = [group.group_id for group in client.list_consumer_groups().result().valid]
    assert [name for name in groups if installation.settings.kafka.consumer_group in name] == [
        installation.settings.kafka.consumer_group
    ]
    for path in ("/router/", "/table/", "/graph/"):
        assert installation.status(path) == 404, path


def test_a_broken_edit_of_rules_is_refused_and_a_good_one_is_taken(installation: Installation) -> None:
    installation.worker()
    version = json.loads(installation.get("/rules"))["version"]
    file = installation.rules / "default" / "quotas.toml"
    file.write_text("[[quota]\nno TOML")
    until(lambda: json.loads(installation.get("/rules"))["refused"] is not None)
    assert "quotas.toml:1" in json.loads(installation.get("/rules"))["refused"]
    assert json.loads(installation.get("/rules"))["version"] == version
    file.write_text('[[quota]]\nid = "none"\nscope = "project"\ncategories = ["error"]\nlimit = 0\nreason_code = "closed"\n')
    until(lambda: json.loads(installation.get("/rules"))["version"] != version)
    installation.feed(10)

    def refused() -> bool:
        outcomes = [
            orjson.loads(message.value() or b"")
            for message in read_all(installation.broker, installation.settings.kafka.outcomes)
        ]
        return [outcome["reason"] for outcome in outcomes].count("closed") == 10

    until(refused)
    assert installation.stored() == []


def test_too_many_dead_letters_stop_consumption_and_lose_nothing(installation: Installation) -> None:
    installation.write_settings("[dead_letters]", "min_count = 20")
    installation.worker()
    topic = installation.settings.kafka.events_in
    produce(installation.broker, topic, [b"\xc1garbage"] * 50)
    until(lambda: installation.ready().get("state") == "halted")
    assert "invalid_msgpack" in installation.ready()["why"]
    assert read_all(installation.broker, installation.settings.kafka.dead_letters) == []
    for process in installation.processes:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    installation.write_settings("[dead_letters]", "max_ratio = 1.0")
    installation.worker()
    until(lambda: len(read_all(installation.broker, installation.settings.kafka.dead_letters)) == 50)


def test_without_topics_it_says_what_to_do(installation: Installation) -> None:
    text = (installation.folder / "settings.toml").read_text()
    (installation.folder / "settings.toml").write_text(text.replace(installation.settings.kafka.outcomes, "not-there"))
    done = installation.pipeline("worker", check=False)
    assert done.returncode == 1
    assert "kafka: not-there" in done.stderr
    assert "pipeline topics" in done.stderr


def test_offsets_and_redis_move_together(installation: Installation) -> None:
    process = installation.worker()
    for number in (100, 200):  # in two batches at least, so that Redis knows the first to be committed
        installation.feed(100, seed=number)
        until(partial(has_stored, installation, number))
    assert installation.pipeline("offsets", "reset", "--to", "earliest", "--yes", check=False).returncode == 1, "a worker runs"
    process.send_signal(signal.SIGTERM)
    process.wait(60)
    assert installation.pipeline("offsets", "show").returncode == 0

    move_kafka_alone(installation.settings, 0)
    shown = installation.pipeline("offsets", "show", check=False)
    assert shown.returncode == 1
    assert "redis is ahead" in shown.stdout
    assert "nothing was changed" in installation.pipeline("offsets", "reset", "--to", "earliest").stdout
    installation.pipeline("offsets", "reset", "--to", "earliest", "--yes")
    assert installation.pipeline("offsets", "show").returncode == 0
    installation.worker()
    until(lambda: len(installation.stored()) == 400)


def has_stored(installation: Installation, number: int) -> bool:
    return len(installation.stored()) == number


def move_kafka_alone(settings: Settings, offset: int) -> None:
    from pipeline.kafka.offsets import GroupOffsets

    group = GroupOffsets(settings.kafka, settings.kafka.events_in, settings.kafka.consumer_group)
    group.write(dict.fromkeys(group.read(), offset))


def test_load_produces_at_a_rate(installation: Installation) -> None:
    started = time.monotonic()
    installation.pipeline("load", "--count", "60", "--rate", "30")
    assert time.monotonic() - started >= 1.9
    assert len(read_all(installation.broker, installation.settings.kafka.events_in)) == 60


def test_topics_check_names_what_does_not_fit(installation: Installation) -> None:
    assert installation.pipeline("topics", "check").returncode == 0
    installation.write_settings("[input]", "max_record_bytes = 15000000")
    checked = installation.pipeline("topics", "check", check=False)
    assert checked.returncode == 1
    assert "max.message.bytes" in checked.stdout
    assert "exists" in installation.pipeline("topics", "create").stdout


def test_topics_create_says_that_a_topic_has_another_number_of_partitions(installation: Installation) -> None:
    name = installation.settings.kafka.events_in
    assert f"exists  {name}\n" in installation.pipeline("topics", "create", "--partitions", "2").stdout
    created = installation.pipeline("topics", "create", "--partitions", "8")
    assert f"exists  {name}, but with 2 partitions and not 8\n" in created.stdout


def test_environment_reaches_the_settings(installation: Installation) -> None:
    environment = {**os.environ, "PIPELINE_KAFKA_OUTCOMES": "no-such-topic"}
    command = [sys.executable, "-m", "pipeline", "worker", "--settings", str(installation.folder / "settings.toml")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=ROOT, timeout=60)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("kafka: no-such-topic"), "the client may have said something before"
