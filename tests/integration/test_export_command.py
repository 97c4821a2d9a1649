"""`pipeline export` on a real broker: what it writes can be replayed and explained."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from support.installation import Installation
from support.kafka_broker import produce

pytestmark = [pytest.mark.kafka, pytest.mark.redis]


def test_what_came_in_can_be_explained(installation: Installation, tmp_path: Path) -> None:
    installation.feed(30, project_id=1)
    time.sleep(0.01)
    between = datetime.now(UTC).isoformat()
    time.sleep(0.01)
    installation.feed(20, project_id=2, seed=2)
    produce(installation.broker, installation.settings.kafka.events_in, [b"\xc1 no message"])
    file = tmp_path / "sent.msgpack"

    def exported(*options: str) -> int:
        done = installation.pipeline("export", "sent", "--out", str(file), *options)
        return int(done.stderr.partition(" events of ")[0])

    assert exported() == 51
    assert exported("--project", "2") == 20
    explained = installation.pipeline("explain", str(file), "--json", "--rules", str(installation.rules))
    assert {orjson.loads(line)["project_id"] for line in explained.stdout.splitlines()} == {2}
    assert exported("--since", between) == 21
    assert exported("--until", between) == 30
    assert exported("--limit", "7") == 7


def test_what_was_stored_is_written_as_it_is(installation: Installation) -> None:
    values = [orjson.dumps([2, "insert", {"project_id": number % 2 + 1}, {}]) for number in range(10)]
    produce(installation.broker, installation.settings.kafka.events_out, [*values, b"{"])
    done = installation.pipeline("export", "stored", "--project", "1")
    assert sorted(done.stdout.splitlines()) == sorted(value.decode() for value in values[::2])
    assert len(installation.pipeline("export", "stored").stdout.splitlines()) == 11


def test_a_broker_that_is_away_is_said(installation: Installation) -> None:
    (installation.folder / "settings.toml").write_text('[kafka]\nbrokers = "127.0.0.1:1"\n')
    done = installation.pipeline("export", "stored", check=False)
    assert done.returncode == 1
    assert "no answer from kafka.brokers" in done.stderr
