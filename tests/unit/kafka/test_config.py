from __future__ import annotations

from pipeline.kafka.config import worker_producer_config
from pipeline.settings.schema import KafkaSettings


def test_a_transaction_that_follows_another_is_tried_again_soon() -> None:
    """The client's default of 100 ms is what back-to-back transactions would take each (docs/spec/delivery.md)."""
    assert worker_producer_config(KafkaSettings(), "id")["retry.backoff.ms"] <= 10
