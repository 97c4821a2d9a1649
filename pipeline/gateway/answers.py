"""What a sender is told: statuses, bodies and headers, in the form that SDKs read. See docs/gateway.md, "Answers"."""

from __future__ import annotations

import uuid
from typing import NamedTuple

import msgspec

from pipeline.model.category import DataCategory

JSON = ("content-type", "application/json")
TEXT = ("content-type", "text/plain; charset=utf-8")

CORS: tuple[tuple[str, str], ...] = (
    ("access-control-allow-origin", "*"),
    ("access-control-expose-headers", "x-sentry-error,x-sentry-rate-limits,retry-after"),
    ("cross-origin-resource-policy", "cross-origin"),
)
"""On every answer to an SDK, refusals included: without them a browser's SDK cannot read why it was refused."""
_REQUEST_HEADERS = (
    "x-sentry-auth,x-requested-with,x-forwarded-for,origin,referer,accept,content-type,authentication,authorization,"
    "content-encoding,transfer-encoding"
)
PREFLIGHT: tuple[tuple[str, str], ...] = (
    *CORS,
    ("access-control-allow-methods", "POST"),
    ("access-control-allow-headers", _REQUEST_HEADERS),
    ("access-control-max-age", "3600"),
)

PIXEL = bytes.fromhex("47494638396101000100800000ffffff00000021f90401000000002c00000000010001000002024401003b")
"""A GIF of one transparent pixel."""


class Answer(NamedTuple):
    """A response without its CORS headers."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


class RefusedRequestError(Exception):
    """A request that is not accepted. `causes` go into the answer's body after `detail`.

    `reason` is the outcome's, where the request belongs to a project; `category` and `quantity` are what it would have counted.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *causes: str,
        reason: str | None = None,
        category: DataCategory = DataCategory.ERROR,
        quantity: int = 1,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.causes = causes
        self.reason = reason
        self.category = category
        self.quantity = quantity

    def answer(self) -> Answer:
        """Return the answer that says so."""
        body = {"detail": self.detail} | ({"causes": list(self.causes)} if self.causes else {})
        said = "; ".join((self.detail, *self.causes)).encode("ascii", "replace").decode()
        return Answer(self.status, msgspec.json.encode(body), (JSON, ("x-sentry-error", said.replace("\n", " ")[:500])))


def accepted(event_id: str | None) -> Answer:
    """Answer an envelope or a store request; without an event the body is an empty object."""
    return Answer(200, b"{}" if event_id is None else b'{"id":"%b"}' % event_id.encode(), (JSON,))


def accepted_hyphenated(event_id: str) -> Answer:
    """Answer a minidump or an Unreal report: their clients read the id as plain text with hyphens."""
    return Answer(200, str(uuid.UUID(event_id)).encode(), (TEXT,))


def pixel() -> Answer:
    """Answer a GET on the store endpoint."""
    return Answer(200, PIXEL, (("content-type", "image/gif"), ("cache-control", "no-store")))
