from __future__ import annotations

import pytest
from msgspec.structs import replace

from pipeline.model.event_id import derive_event_id, parse_event_id
from pipeline.model.record import Form, Record, Token

PLAIN = "9ec79c33ec9942ab8353589fcb2e04dc"
RECORD = Record(b"{}", Form.JSON, "a.jsonl", 7, 0.0, Token("replay", 0, 6))


@pytest.mark.parametrize(
    "text", [PLAIN, PLAIN.upper(), "9ec79c33-ec99-42ab-8353-589fcb2e04dc", "9EC79C33-EC99-42AB-8353-589FCB2E04DC"]
)
def test_ids_are_read_as_uuids_are_written(text: str) -> None:
    assert parse_event_id(text) == PLAIN


@pytest.mark.parametrize(
    "value",
    [None, "", 5, [PLAIN], PLAIN[:-1], PLAIN + "a", PLAIN + "\n", "0" * 32, "g" * 32, "9ec79c33-ec9942ab-8353-589fcb2e04dc"],
)
def test_what_is_no_id(value: object) -> None:
    assert parse_event_id(value) is None


def test_a_derived_id_follows_from_bytes_and_position_alone() -> None:
    derived = derive_event_id(RECORD)
    assert parse_event_id(derived) == derived
    assert derive_event_id(replace(RECORD, source="b.jsonl", received=9.0)) == derived
    assert len({derived, derive_event_id(replace(RECORD, position=8)), derive_event_id(replace(RECORD, body=b"{ }"))}) == 3
    assert derive_event_id(replace(RECORD, position=(0, 7))) == derive_event_id(replace(RECORD, position=(0, 7)))
