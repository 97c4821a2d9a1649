from __future__ import annotations

import pytest

from pipeline.kafka.dead_letters import LetterAddress, StoredLetter


@pytest.mark.parametrize(
    ("headers", "is_whole"),
    [
        ({"stage": b"group"}, True),
        ({}, True),
        ({"stage": b"decode", "truncated-from": b"99000001"}, False),
        ({"stage": b"gateway"}, False),
    ],
)
def test_only_a_whole_record_is_replayed(headers: dict[str, bytes], is_whole: bool) -> None:
    assert StoredLetter(LetterAddress(0, 7), b"bytes", headers, 1_700_000_000.0).is_whole is is_whole
