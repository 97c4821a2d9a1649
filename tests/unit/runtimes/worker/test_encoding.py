from __future__ import annotations

import os

from pipeline.kafka.batch import make_record
from pipeline.kafka.config import LARGEST_RECORD_BYTES
from pipeline.model.dead_letter import DeadLetter
from pipeline.model.record import KEPT_OF_OVERSIZED, Form, Output, Token
from pipeline.runtimes.worker.encoding import dead_letter
from pipeline.settings.schema import KafkaSettings, Settings


def letter_of(body: bytes, settings: Settings = Settings()) -> Output:  # noqa: B008 -- immutable
    record = make_record(body, Form.MSGPACK, "in", Token("t", 3, 120), 1e9, {})
    return dead_letter(DeadLetter(record, "decode", "too_large"), {}, settings, 1e9)


def test_a_dead_letter_holds_the_bytes_and_says_whence_they_came() -> None:
    output = letter_of(b"as they were")
    headers = dict(output.headers)
    assert output.value == b"as they were"
    assert (headers["source-topic"], headers["source-partition"], headers["source-offset"]) == (b"in", b"3", b"120")
    assert (headers["stage"], headers["reason"], headers["token"]) == (b"decode", b"too_large", b"t/3/120")
    assert "truncated-from" not in headers


def test_what_no_client_would_produce_keeps_its_beginning() -> None:
    """Packed, a hundred megabytes of nothing pass every limit of the input topic; refused, they would stop their partition."""
    output = letter_of(bytes(LARGEST_RECORD_BYTES))
    assert len(output.value) == KEPT_OF_OVERSIZED
    assert dict(output.headers)["truncated-from"] == str(LARGEST_RECORD_BYTES).encode()


def test_what_packs_to_more_than_its_topic_takes_keeps_its_beginning() -> None:
    """It came packed better than it would go out; refused by the broker, its batch would come again and again."""
    noise = os.urandom(15_000_000)
    assert letter_of(noise[:11_000_000]).value == noise[:11_000_000]
    assert len(letter_of(noise).value) == KEPT_OF_OVERSIZED
    readable = noise[:1_000] * 15_000
    assert letter_of(readable).value == readable
    unpacked = Settings(kafka=KafkaSettings(compression="none"))
    assert len(letter_of(readable, unpacked).value) == KEPT_OF_OVERSIZED
