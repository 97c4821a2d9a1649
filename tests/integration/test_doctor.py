"""`pipeline doctor` on a real broker and a real Redis."""

from __future__ import annotations

import orjson
import pytest
from support.installation import Installation

pytestmark = [pytest.mark.kafka, pytest.mark.redis]


def test_a_whole_installation(installation: Installation) -> None:
    done = installation.pipeline("doctor", "--json", "--only", "topics", "--only", "redis", check=False)
    found = [(finding["part"], finding["state"]) for finding in orjson.loads(done.stdout)]
    assert found == [("topics", "ok"), ("redis", "ok")], done.stdout
    assert done.returncode == 0


def test_a_redis_that_forgets_is_wrong(installation: Installation) -> None:
    client = installation.redis.client()
    client.config_set("appendfsync", "no")
    done = installation.pipeline("doctor", "--only", "redis", check=False)
    assert done.returncode == 1
    assert "appendfsync is no" in done.stdout
