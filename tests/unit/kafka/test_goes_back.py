from __future__ import annotations

from typing import Any, cast

import pytest
from confluent_kafka import Message

from pipeline.kafka.consumer import goes_back


class Read:
    def __init__(self, partition: int, offset: int) -> None:
        self.partition = lambda: partition
        self.offset = lambda: offset


@pytest.mark.parametrize(
    ("places", "back"),
    [
        ([], False),
        ([(0, 5), (1, 2), (0, 6), (1, 9)], False),
        ([(0, 5), (0, 9)], False),
        ([(0, 5), (0, 6), (0, 0), (0, 1)], True),
        ([(0, 5), (1, 5), (0, 5)], True),
    ],
)
def test_a_log_that_lost_its_end_while_a_batch_was_read(places: list[tuple[int, int]], back: bool) -> None:
    assert goes_back(cast("Any", [Read(*place) for place in places])) is back


def test_messages_have_what_is_asked_for() -> None:
    assert callable(Message.partition)
    assert callable(Message.offset)
