"""What `pipeline load` says has arrived was acknowledged by the broker; what waits in the client's queue was not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.kafka import load
from pipeline.settings.schema import KafkaSettings


class SlowBroker:
    """Acknowledges one message each time it is polled."""

    def __init__(self, _: object) -> None:
        self.queue: list[Callable[[None, Any], None]] = []

    def produce(self, _topic: str, _value: bytes, _key: bytes, on_delivery: Callable[[None, Any], None]) -> None:
        self.queue.append(on_delivery)

    def poll(self, _: float) -> None:
        if self.queue:
            self.queue.pop(0)(None, None)

    def __len__(self) -> int:
        return len(self.queue)


def test_progress_counts_what_the_broker_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "Producer", SlowBroker)
    monkeypatch.setattr(load, "REPORT_EVERY_S", 0.0)
    monkeypatch.setattr(load, "FLUSH_POLL_S", 0.0)
    seen: list[int] = []

    arrived = load.produce(
        ((b"key", b"value") for _ in range(5)), KafkaSettings(), per_second=None, on_progress=lambda done, _: seen.append(done)
    )

    assert arrived == 5
    assert seen[:5] == [0] * 5, "all are queued, and none has arrived"
    assert seen[5:] == [1, 2, 3, 4, 5, 5]
