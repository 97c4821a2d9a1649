from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from support.installation import Installation
from support.kafka_broker import Broker, shared_broker
from support.redis_servers import RedisServer


@pytest.fixture
def broker() -> Broker:
    return shared_broker()


@pytest.fixture
def installation(broker: Broker, tmp_path: Path) -> Iterator[Installation]:
    installation = Installation(broker, tmp_path)
    yield installation
    installation.close()


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def client(server: RedisServer) -> Iterator[redis.Redis]:
    with server.client() as client:
        yield client
