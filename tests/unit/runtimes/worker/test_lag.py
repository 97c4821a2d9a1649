from __future__ import annotations

from pipeline.kafka.lag import Lag


def test_lag_is_from_what_is_committed_not_from_what_was_read() -> None:
    lag = Lag()
    lag.read(0, 10, 100.0)
    lag.read(0, 19, 105.0)
    lag.saw_ends({0: 20, 1: 5})
    assert lag.by_partition(110.0) == {0: (10, 10.0)}
    lag.committed({0: 20})
    assert lag.by_partition(110.0) == {0: (0, 0.0)}
    lag.saw_ends({0: 25})
    assert lag.by_partition(110.0) == {0: (5, 5.0)}


def test_a_partition_that_is_gone_and_an_end_that_is_not_known_show_nothing() -> None:
    lag = Lag()
    lag.read(0, 0, 1.0)
    lag.read(1, 0, 1.0)
    lag.saw_ends({0: -1001})
    lag.forget([1])
    lag.committed({0: 1, 1: 1})
    assert lag.by_partition(2.0) == {0: (0, 0.0)}
