from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.installation import Installation
from support.kafka_broker import Broker, shared_broker


@pytest.fixture
def broker() -> Broker:
    return shared_broker()


@pytest.fixture
def installation(broker: Broker, tmp_path: Path) -> Iterator[Installation]:
    installation = Installation(broker, tmp_path)
    yield installation
    installation.close()
