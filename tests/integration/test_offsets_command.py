"""`pipeline offsets` where something is missing: a line that says so, nothing moved, no stack."""

from __future__ import annotations

import json
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from support.installation import Installation
from support.kafka_broker import Broker, admin, committed

from pipeline.kafka.offsets import GroupOffsets
from pipeline.kafka.topics import topic_id
from pipeline.redis.client import connect

pytestmark = [pytest.mark.kafka, pytest.mark.redis]


def refused(installation: Installation, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = installation.pipeline("offsets", *arguments, check=False)
    assert done.returncode > 0, "a negative one is a signal"
    assert "Traceback" not in done.stderr
    return done


def test_a_group_that_has_committed_nothing(installation: Installation) -> None:
    lines = [json.loads(line) for line in installation.pipeline("offsets", "show", "--json").stdout.splitlines()]
    assert [line["partition"] for line in lines] == [0, 1]
    rest = {"first": 0, "committed": None, "end": 0, "lag": 0, "redis_floor": None, "redis_is_ahead": False}
    assert {"partition": 0} | rest in lines


@pytest.mark.slow
def test_a_broker_that_has_never_kept_an_offset(tmp_path: Path) -> None:
    """It makes its topic of offsets when it is first asked, and has no coordinator until then."""
    broker = Broker(tmp_path)
    broker.start()
    installation = Installation(broker, tmp_path)
    try:
        assert installation.pipeline("offsets", "show").returncode == 0
    finally:
        installation.close()
        broker.stop()


def test_a_partition_that_is_not_there_moves_nothing(installation: Installation) -> None:
    done = refused(installation, "reset", "--to", "latest", "--partition", "1", "--partition", "9", "--yes")
    assert "none with number 9" in done.stderr
    assert set(committed(installation.settings).values()) == {-1001}


def test_without_redis_nothing_is_moved(installation: Installation) -> None:
    installation.redis.stop()
    assert refused(installation, "show").stderr.startswith("redis: ")
    settings = installation.folder / "settings.toml"
    settings.write_text(settings.read_text().replace(installation.redis.url, "nonsense://"))
    assert "redis.url" in refused(installation, "reset", "--to", "latest", "--yes").stderr
    assert set(committed(installation.settings).values()) == {-1001}


def test_a_committed_offset_past_the_end_is_said_and_is_no_negative_lag(installation: Installation) -> None:
    """As it is if a topic was made anew while workers ran, which then commit what they had read of the old one."""
    kafka = installation.settings.kafka
    with closing(GroupOffsets(kafka, kafka.events_in, kafka.consumer_group)) as group:
        group.write({0: 40, 1: 0})

    shown = refused(installation, "show", "--json")

    lines = {line["partition"]: line for line in map(json.loads, shown.stdout.splitlines())}
    assert (lines[0]["committed"], lines[0]["end"], lines[0]["lag"]) == (40, 0, 0)
    assert lines[0]["notes"] == ["the committed offset is past the end: pipeline offsets reset"]
    assert "notes" not in lines[1]
    assert shown.returncode == 1
    installation.pipeline("offsets", "reset", "--to", "earliest", "--yes")
    assert installation.pipeline("offsets", "show").returncode == 0


def test_a_ledger_key_that_holds_something_else_is_named(installation: Installation) -> None:
    topic = topic_id(admin(installation.broker), installation.settings.kafka.events_in)
    key = f"ledger:admit:{{1}}{topic}:0"
    with connect(installation.redis.url, 5) as client:
        client.rpush(key, "a list")
        assert refused(installation, "show").stderr.endswith(f"{key} holds no ledger\n")
        client.delete(key)
        client.set(key, "a text")
        assert refused(installation, "show").stderr.endswith(f"{key} holds no ledger\n")
