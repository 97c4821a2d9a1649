from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.gateway.envelope_stream import KEPT, EnvelopeStream
from pipeline.http.answers import RefusedRequestError
from pipeline.model.envelope import EnvelopeError, parse_envelope

HEADER = b'{"event_id":"9ec79c33ec9942ab8353589fcb2e04dc"}\n'

LINES = st.lists(
    st.sampled_from(
        [
            HEADER,
            b"{}\n",
            b"{}",
            b"\n",
            b"[]\n",
            b'{"type":"event"}\n',
            b'{"type":"event","length":9}\n',
            b'{"type":"event","length":7}\n{"a":1}\n',
            b'{"type":"attachment","length":0}\n\n',
            b'{"type":"attachment","length":3}\na\nb',
            b'{"type":\n"session"}\n',
            b'{"a":1}\n',
            b"hello\n",
            b"\xff\xfe",
            b'{"type":"user_report","length":-1}\n',
        ]
    ),
    max_size=8,
).map(b"".join)


def streamed(body: bytes, piece: int) -> object:
    try:
        stream = EnvelopeStream(body[at : at + piece] for at in range(0, len(body), piece))
        return stream.header, [(item.type, item.size, item.payload) for item in stream.items()]
    except EnvelopeError as error:
        return str(error)
    except RefusedRequestError:
        return "too large"


def parsed(body: bytes) -> object:
    try:
        envelope = parse_envelope(body)
    except EnvelopeError as error:
        return str(error)
    items = [(item.type, len(item.payload), item.payload if item.type in KEPT else None) for item in envelope.items]
    if sum(kind == "event" for kind, _, _ in items) > 1:
        return "too large"
    return (envelope.event_id, envelope.dsn), items


@given(body=LINES | st.binary(max_size=60), piece=st.integers(1, 70))
def test_it_reads_what_the_model_reads(body: bytes, piece: int) -> None:
    found, expected = streamed(body, piece), parsed(body)
    # What comes first wins: a second event is refused before what is wrong behind it is seen.
    assert found == expected or (found == "too large" and isinstance(expected, str))


def test_a_large_attachment_is_counted_and_not_held() -> None:
    def pieces() -> object:
        yield HEADER + b'{"type":"attachment","length":100000000}\n'
        for _ in range(1_000):
            yield bytes(100_000)
        yield b'\n{"type":"event"}\n{"message":"after"}\n'

    stream = EnvelopeStream(pieces())  # type: ignore[arg-type]  # a generator of pieces
    items = [(item.type, item.size, item.payload) for item in stream.items()]
    assert items == [("attachment", 100_000_000, None), ("event", 19, b'{"message":"after"}')]


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (b'{"type":"event","length":1048577}\n', "too_large:event"),
        (b'{"type":"event"}\n' + b"x" * 1_048_577, "too_large:event"),
        (b'{"type":"attachment","length":209715201}\n', "too_large:attachment"),
        (b'{"type":"attachment","length":0}\n\n' * 31, "too_large:attachment"),
        (b'{"type":"event","length":2}\n{}\n' * 2, "too_large:event"),
        (b'{"type":"check_in","length":102401}\n', "too_large:check_in"),
        (b'{"type":"client_report","length":2}\n{}\n' * 101, "too_large:client_report"),
    ],
)
def test_what_is_too_large_is_refused_before_it_is_read(item: bytes, reason: str) -> None:
    with pytest.raises(RefusedRequestError) as refused:
        list(EnvelopeStream([HEADER + item]).items())
    assert (refused.value.status, refused.value.reason) == (413, reason)


def test_a_container_says_how_many_things_it_holds() -> None:
    payload = orjson.dumps({"items": [{"body": "a"}, {"body": "b"}]})

    def envelope(count: object) -> bytes:
        header = {"type": "log", "item_count": count, "content_type": "application/vnd.sentry.items.log+json"}
        return HEADER + orjson.dumps(header) + b"\n" + payload + b"\n"

    [item] = EnvelopeStream([envelope(2)]).items()
    assert item.contained == 2
    for wrong in (1, None, "2"):
        with pytest.raises(EnvelopeError):
            list(EnvelopeStream([envelope(wrong)]).items())
