from __future__ import annotations

import time
from collections.abc import Mapping
from typing import cast

import pytest
from confluent_kafka import KafkaError, KafkaException

from pipeline.kafka import lag as lag_module
from pipeline.kafka.lag import LagWatch, PartitionLag
from pipeline.kafka.offsets import GroupOffsets, Standing


class Broker:
    """What a broker would answer."""

    def __init__(self) -> None:
        self.standings: dict[int, Standing] = {}
        self.arrived: dict[tuple[int, int], float] = {}
        self.asked: list[dict[int, int]] = []
        self.is_away = False

    def read(self) -> dict[int, Standing]:
        if self.is_away:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        return self.standings

    def arrivals(self, offsets: Mapping[int, int]) -> dict[int, float]:
        self.asked.append(dict(offsets))
        return {p: self.arrived[p, offset] for p, offset in offsets.items() if (p, offset) in self.arrived}

    def close(self) -> None: ...


def watch(broker: Broker) -> LagWatch:
    return LagWatch(cast(GroupOffsets, broker), lambda: True, lambda _: None)


def test_lag_is_the_age_of_the_oldest_unread_record_for_every_partition() -> None:
    broker = Broker()
    broker.standings = {0: Standing(0, 10, 20), 1: Standing(3, None, 5), 2: Standing(0, 7, 7)}
    broker.arrived = {(0, 10): 100.0, (1, 3): 40.0}
    watching = watch(broker)
    watching.look()
    assert watching.lag(110.0) == {0: PartitionLag(10, 10.0), 1: PartitionLag(2, 70.0), 2: PartitionLag(0, 0.0)}


def test_a_record_after_an_idle_hour_is_not_an_hour_of_lag() -> None:
    broker = Broker()
    broker.standings = {0: Standing(0, 10, 10)}
    watching = watch(broker)
    watching.look()
    broker.standings = {0: Standing(0, 10, 11)}
    broker.arrived = {(0, 10): 3_600.0}
    watching.look()
    assert watching.lag(3_601.0) == {0: PartitionLag(1, 1.0)}


def test_ages_grow_while_the_broker_is_away_and_are_asked_for_once() -> None:
    broker = Broker()
    broker.standings = {0: Standing(0, 10, 20)}
    broker.arrived = {(0, 10): 100.0}
    watching = watch(broker)
    watching.look()
    watching.look()
    broker.is_away = True
    watching.look()
    assert watching.lag(200.0) == {0: PartitionLag(10, 100.0)}
    assert [offsets for offsets in broker.asked if offsets] == [{0: 10}]


def test_who_is_not_elected_any_more_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lag_module, "EVERY_S", 0.001)
    broker = Broker()
    broker.standings = {0: Standing(0, 10, 10)}
    shown: list[Mapping[int, PartitionLag]] = []
    elected = [True, True]
    watching = LagWatch(cast(GroupOffsets, broker), lambda: bool(elected and elected.pop()), shown.append)
    watching.start()
    deadline = time.monotonic() + 60
    while (not shown or shown[-1]) and time.monotonic() < deadline:
        time.sleep(0.002)
    watching.stop()
    assert shown == [{0: PartitionLag(0, 0.0)}] * 2 + [{}]
