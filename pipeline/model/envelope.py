"""Envelopes: what an SDK sends over HTTP, cut into items as strictly as Relay does. See docs/spec/envelopes.md."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from pipeline.model.event_id import has_event_id_form, parse_event_id

MAX_ITEMS = 500

_DSN = re.compile(r"https?://(?P<key>[^:@/\s]+)(?::[^@/\s]*)?@[^/?#\s]+(?:/[^?#\s]*)?/(?P<project>[0-9]{1,19})/?")
_DECODER = json.JSONDecoder()


class EnvelopeError(Exception):
    """An envelope that must be refused as a whole. The message is worded as Relay words it."""


class Dsn(NamedTuple):
    """The parts of a DSN that name the sender: project and public key."""

    public_key: str
    project_id: int

    @classmethod
    def parse(cls, text: Any) -> Dsn | None:
        """Parse `scheme://key[:secret]@host[/path]/project`. None for any other text."""
        match = _DSN.fullmatch(text) if isinstance(text, str) else None
        return cls(match["key"], int(match["project"])) if match else None


class EnvelopeItem(NamedTuple):
    """One item: the `type` of its header, the whole header, and the payload as sent."""

    type: str
    header: dict[str, Any]
    payload: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """A parsed envelope. `event_id` has 32 hex digits. `header` is the whole header, including fields that nobody reads."""

    header: dict[str, Any]
    event_id: str | None
    dsn: Dsn | None
    items: tuple[EnvelopeItem, ...]

    def require_agreement(self, project_id: int, public_key: str) -> None:
        """Raise EnvelopeError if the envelope's DSN names another project or key than the request that carries it."""
        if self.dsn is None:
            return
        for name, own, asked in (
            ("project id", self.dsn.project_id, project_id),
            ("public key", self.dsn.public_key, public_key),
        ):
            if own != asked:
                raise EnvelopeError(f"{name} header mismatch between envelope and request")


def parse_envelope(body: bytes) -> Envelope:
    """Cut an envelope into its items. Raises EnvelopeError, also for a length that is longer than the body."""
    if not body:
        raise EnvelopeError("empty request body")
    header, offset = read_header(body, 0, "invalid envelope header")
    sent_id, sent_dsn = header.get("event_id"), header.get("dsn")
    event_id, dsn = parse_event_id(sent_id), Dsn.parse(sent_dsn)
    if (event_id is None and sent_id is not None and not has_event_id_form(sent_id)) or (dsn is None and sent_dsn is not None):
        raise EnvelopeError("invalid envelope header")
    items: list[EnvelopeItem] = []
    while offset < len(body):
        if len(items) == MAX_ITEMS:
            raise EnvelopeError(f"more than {MAX_ITEMS} items")
        item, offset = _read_item(body, offset)
        items.append(item)
    return Envelope(header, event_id, dsn, tuple(items))


def _read_item(body: bytes, offset: int) -> tuple[EnvelopeItem, int]:
    """Read one item: a header, then a payload of `length` bytes. Without `length` the payload ends with its line."""
    header, start = read_header(body, offset, "invalid item header")
    kind, length = header.get("type"), header.get("length")
    if not isinstance(kind, str) or (length is not None and (type(length) is not int or length < 0)):
        raise EnvelopeError("invalid item header")
    if length is None:
        end = body.find(b"\n", start)
        end = len(body) if end < 0 else end
    else:
        end = start + length
        if end > len(body):
            raise EnvelopeError("unexpected end of file")
        _require_termination(body, end)
    return EnvelopeItem(kind, header, body[start:end]), end + 1


def read_header(body: bytes, offset: int, refusal: str) -> tuple[dict[str, Any], int]:
    """Read the JSON object at `offset`. Return it, and the offset after the newline that follows it (or the end of the body)."""
    end = body.find(b"\n", offset)
    end = len(body) if end < 0 else end
    line = body[offset:end]
    header = _decoded(line) if line.endswith(b"}") else None
    if header is None:
        header, end = _read_other_header(body, offset, refusal)
        _require_termination(body, end)
    if not isinstance(header, dict):
        raise EnvelopeError(refusal)
    return header, min(end + 1, len(body))


def _decoded(line: bytes) -> Any:
    try:
        return msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _read_other_header(body: bytes, offset: int, refusal: str) -> tuple[Any, int]:
    """Read a header that is not exactly one line: spread over several lines, or followed by something else on its line."""
    text = body[offset : offset + 1_000_000].decode("latin-1")  # one character a byte: offsets stay what they are
    start = len(text) - len(text.lstrip(" \t\r\n"))
    if start == len(text):
        raise EnvelopeError("unexpected end of file" if offset else "missing envelope header")
    try:
        _, end = _DECODER.raw_decode(text, start)
        return msgspec.json.decode(body[offset + start : offset + end]), offset + end
    except (ValueError, RecursionError, msgspec.DecodeError):
        raise EnvelopeError(refusal) from None


def _require_termination(body: bytes, offset: int) -> None:
    if offset < len(body) and body[offset : offset + 1] != b"\n":
        raise EnvelopeError("missing newline after header or payload")
