"""The part of the envelope format that a recorder must read: headers, items, and whose DSN it is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class EnvelopeItem:
    """One item of an envelope: its header and its payload, not parsed."""

    headers: dict[str, Any]
    payload: bytes

    @property
    def type(self) -> str:
        """`event`, `transaction`, `session`, ..."""
        return str(self.headers.get("type", ""))


def parse(body: bytes) -> tuple[dict[str, Any], list[EnvelopeItem]]:
    """Return the envelope's header and its items. Raises ValueError where the bytes are no envelope."""
    head, _, rest = body.partition(b"\n")
    items = []
    while rest.strip(b"\n"):
        line, _, rest = rest.lstrip(b"\n").partition(b"\n")
        headers = json.loads(line)
        end = headers.get("length")
        if end is None:  # without a length the payload ends with its line
            end = rest.find(b"\n") if b"\n" in rest else len(rest)
        items.append(EnvelopeItem(headers, rest[:end]))
        rest = rest[end:]
    return json.loads(head), items


def with_dsn(body: bytes, dsn: str) -> bytes:
    """Return the envelope with a `dsn` in its header, and every other byte as it was; unchanged if it has one.

    Most SDKs name project and key in the request alone. A file has no request, so the server moves them here.
    """
    head, newline, rest = body.partition(b"\n")
    header = json.loads(head)
    if header.get("dsn"):
        return body
    return json.dumps({"dsn": dsn, **header}, ensure_ascii=False, separators=(",", ":")).encode() + newline + rest
