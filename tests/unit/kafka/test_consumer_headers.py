"""What the client cannot read of a message must not end the worker, and the next one after it."""

from __future__ import annotations

from typing import Any, cast

import pytest

from pipeline.kafka.consumer import _headers


class _Message:
    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def headers(self) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return 7


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        (None, ()),
        ([("a", b"1")], [("a", b"1")]),
        (SystemError("returned NULL without setting an exception"), ()),  # what confluent-kafka makes of a name of other bytes
    ],
)
def test_headers_that_cannot_be_read_are_none(answer: Any, read: Any) -> None:
    assert _headers(cast("Any", _Message(answer))) == read
