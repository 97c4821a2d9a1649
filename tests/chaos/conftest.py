from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support.kafka_broker import Broker, shared_broker

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def broker() -> Broker:
    return shared_broker()
