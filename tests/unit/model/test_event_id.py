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


def test_a_derived_id_follows_from_bytes_and_place_alone() -> None:
    derived = derive_event_id(RECORD)
    assert parse_event_id(derived) == derived
    assert derive_event_id(replace(RECORD, received=9.0, token=Token("replay", 0, 9))) == derived
    others = [replace(RECORD, position=8), replace(RECORD, body=b"{ }"), replace(RECORD, source="b.jsonl")]
    assert len({derived, *map(derive_event_id, others)}) == 4


def test_a_dead_letter_that_comes_back_keeps_its_derived_id() -> None:
    first = replace(RECORD, source="ingest-events", position=(0, 7), token=Token("log", 0, 7))
    assert derive_event_id(replace(first, position=(3, 99))) == derive_event_id(first)
    assert derive_event_id(replace(first, token=Token("another log", 0, 7))) != derive_event_id(first)
