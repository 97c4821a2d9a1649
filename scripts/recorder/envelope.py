"""The part of the envelope format that a recorder must read: headers, items, and whose DSN it is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class SentEnvelope:
    """An envelope as it arrived, decompressed, and the DSN made of its request's project and key."""

    body: bytes
    dsn: str

    @property
    def names_its_project(self) -> bool:
        """Whether the SDK wrote a `dsn` into the envelope's header itself."""
        return bool(json.loads(self.body.partition(b"\n")[0]).get("dsn"))

    def as_file(self) -> bytes:
        """Return the bytes with a `dsn` in the header: added where the SDK left it to the request, as a file has none."""
        if self.names_its_project:
            return self.body
        head, newline, rest = self.body.partition(b"\n")
        header = {"dsn": self.dsn, **json.loads(head)}
        return json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode() + newline + rest

    def items(self) -> list[EnvelopeItem]:
        """Return the items. Raises ValueError where the bytes are no envelope."""
        rest = self.body.partition(b"\n")[2]
        items = []
        while rest.strip(b"\n"):
            line, _, rest = rest.lstrip(b"\n").partition(b"\n")
            headers = json.loads(line)
            end = headers.get("length")
            if end is None:  # without a length the payload ends with its line
                end = rest.find(b"\n") if b"\n" in rest else len(rest)
            items.append(EnvelopeItem(headers, rest[:end]))
            rest = rest[end:]
        return items

    def event(self) -> dict[str, Any] | None:
        """Return the event that the envelope carries, if it carries one."""
        return next((json.loads(item.payload) for item in self.items() if item.type == "event"), None)


@dataclass(frozen=True)
class EnvelopeItem:
    """One item of an envelope: its header and its payload, not parsed."""

    headers: dict[str, Any]
    payload: bytes

    @property
    def type(self) -> str:
        """`event`, `transaction`, `session`, ..."""
        return str(self.headers.get("type", ""))
