from __future__ import annotations

import pytest
from support.kafka_broker import Broker, shared_broker


@pytest.fixture
def broker() -> Broker:
    return shared_broker()
