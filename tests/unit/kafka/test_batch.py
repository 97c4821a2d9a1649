from __future__ import annotations

import msgpack
import pytest

from pipeline.kafka.batch import RECEIVED_HEADER, TOKEN_HEADER, encode_token, make_record, project_of
from pipeline.model.record import Form, Token

HERE = Token("topic-id", 3, 17)


def test_a_record_carries_its_place_and_the_brokers_time() -> None:
    record = make_record(b"body", Form.MSGPACK, "in", HERE, 12.5, {})
    assert (record.form, record.source, record.position, record.received, record.token) == (
        Form.MSGPACK,
        "in",
        (3, 17),
        12.5,
        HERE,
    )


def test_a_replayed_dead_letter_keeps_its_first_token_and_arrival_but_not_its_place() -> None:
    first = Token("older/with-slash", 0, 5)
    record = make_record(b"", Form.MSGPACK, "in", HERE, 12.5, {TOKEN_HEADER: encode_token(first), RECEIVED_HEADER: b"7.25"})
    assert (record.token, record.received, record.position) == (first, 7.25, (3, 17))


@pytest.mark.parametrize("value", [b"", b"x", b"a/b/c", b"a/1/-2", b"\xff/1/2/", b"a/1", b"a/1/" + b"9" * 5_000])
def test_a_token_that_we_did_not_write_is_ignored(value: bytes) -> None:
    assert make_record(b"", Form.MSGPACK, "in", HERE, 1.0, {TOKEN_HEADER: value, RECEIVED_HEADER: value}).token == HERE


@pytest.mark.parametrize(
    ("body", "project_id"),
    [
        (msgpack.packb({"project_id": 42, "payload": b"x"}), 42),
        (msgpack.packb({"project_id": "42"}), None),
        (msgpack.packb([1, 2]), None),
        (b"\xc1", None),
        (b"", None),
        (b"\x91" * 5_000, None),
    ],
)
def test_the_project_of_bytes_that_may_be_anything(body: bytes, project_id: int | None) -> None:
    assert project_of(body) == project_id
