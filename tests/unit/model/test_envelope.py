from __future__ import annotations

import pytest

from pipeline.model.envelope import MAX_ITEMS, Dsn, EnvelopeError, parse_envelope

KEY = "e12d836b15bb49d7bbf99e64295d995b"


def refusal(body: bytes) -> str:
    with pytest.raises(EnvelopeError) as refused:
        parse_envelope(body)
    return str(refused.value)


def test_the_header_says_whose_it_is_and_which_event() -> None:
    envelope = parse_envelope(
        b'{"event_id":"9EC79C33-EC99-42AB-8353-589FCB2E04DC","dsn":"https://%b:secret@o1.ingest.example:8443/sub/42","x":1}'
        % KEY.encode()
    )
    assert envelope.event_id == "9ec79c33ec9942ab8353589fcb2e04dc"
    assert envelope.dsn == Dsn(KEY, 42)
    assert envelope.header["x"] == 1


@pytest.mark.parametrize(
    "header",
    [
        b'{"event_id":"nope"}',
        b'{"event_id":5}',
        b'{"dsn":"nope"}',
        b'{"dsn":7}',
        b'{"dsn":"https://host/1"}',
        b"{",
        b"\xff",
        b"[" * 9_999,
    ],
)
def test_a_header_that_says_nonsense_is_refused(header: bytes) -> None:
    assert refusal(header + b"\n") == "invalid envelope header"


def test_a_header_may_be_spread_over_lines() -> None:
    envelope = parse_envelope('{\n "event_id": null,\n "é": {}\n}\n{\n"type":\n"event"}\n{}\n'.encode())
    assert envelope.header == {"event_id": None, "é": {}}
    assert [(item.type, item.payload) for item in envelope.items] == [("event", b"{}")]


def test_a_nil_event_id_is_none() -> None:
    assert parse_envelope(b'{"event_id":"00000000-0000-0000-0000-000000000000"}').event_id is None


def test_a_header_s_line_ends_with_it() -> None:
    assert refusal(b'{"event_id":null}\r\n') == "missing newline after header or payload"
    assert parse_envelope(b'\n {"event_id":null}\n').items == ()


def test_a_payload_of_stated_length_may_hold_newlines_and_any_bytes() -> None:
    payload = b"\n\xff\x00\n{}"
    envelope = parse_envelope(b'{}\n{"type":"attachment","length":%d}\n%b\n{"type":"event"}\n{}' % (len(payload), payload))
    assert [item.payload for item in envelope.items] == [payload, b"{}"]


@pytest.mark.parametrize(
    ("rest", "text"),
    [
        (b'{"type":"event","length":99}\n{}', "unexpected end of file"),
        (b'{"type":"event","length":1}\n{}\n', "missing newline after header or payload"),
        (b'{"type":"event","length":true}\n{}\n', "invalid item header"),
        (b'{"type":"event","length":1.0}\n{}\n', "invalid item header"),
        (b'{"length":1}\n{}\n', "invalid item header"),
        (b"[]\n{}\n", "invalid item header"),
        (b'{"type":"event"} {}\n', "missing newline after header or payload"),
        (b'{"type":"event"}\r\n{}\n', "missing newline after header or payload"),
        (b'{"type":"event","length":2}\n{}\r\n', "missing newline after header or payload"),
        (b"\n", "unexpected end of file"),
    ],
)
def test_items_that_cannot_be_cut_are_refused(rest: bytes, text: str) -> None:
    assert refusal(b"{}\n" + rest) == text


def test_the_number_of_items_is_bounded() -> None:
    items = b'{"type":"session"}\n{}\n'
    assert len(parse_envelope(b"{}\n" + items * MAX_ITEMS).items) == MAX_ITEMS
    assert "items" in refusal(b"{}\n" + items * (MAX_ITEMS + 1))


@pytest.mark.parametrize("text", ["https://key@host/42", "http://key:secret@host:9000/a/b/42/"])
def test_a_dsn_names_key_and_project(text: str) -> None:
    assert Dsn.parse(text) == Dsn("key", 42)


@pytest.mark.parametrize(
    "text",
    ["", "https://host/42", "https://key@host/", "https://key@host/x", "ftp://key@host/1", None, 42, "https://k@h/" + "9" * 20],
)
def test_what_is_no_dsn(text: object) -> None:
    assert Dsn.parse(text) is None


def test_agreement_asks_nothing_of_an_envelope_without_dsn() -> None:
    parse_envelope(b"{}").require_agreement(1, "any")
