"""Answers to senders: statuses, bodies and headers, in the form that SDKs read. See docs/gateway.md, "Answers"."""

from __future__ import annotations

import uuid

from pipeline.http.answers import JSON, TEXT, Answer, RefusedRequestError
from pipeline.model.category import DataCategory

CORS: tuple[tuple[str, str], ...] = (
    ("access-control-allow-origin", "*"),
    ("access-control-expose-headers", "x-sentry-error,x-sentry-rate-limits,retry-after"),
    ("cross-origin-resource-policy", "cross-origin"),
)
"""Headers of every answer to an SDK, including refusals. Without them an SDK in a browser cannot read why it was refused."""
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


class RefusedItemError(RefusedRequestError):
    """A refusal for one item of a request. Its outcome counts `quantity` in the item's category."""

    def __init__(self, status: int, detail: str, *causes: str, reason: str | None, category: DataCategory, quantity: int) -> None:
        super().__init__(status, detail, *causes, reason=reason)
        self.category = category
        self.quantity = quantity


def accepted(event_id: str | None) -> Answer:
    """Return the answer to an envelope or a store request. Without an event the body is an empty object."""
    return Answer(200, b"{}" if event_id is None else b'{"id":"%b"}' % event_id.encode(), (JSON,))


def accepted_hyphenated(event_id: str) -> Answer:
    """Return the answer to a minidump or an Unreal report. Their clients read the id as plain text with hyphens."""
    return Answer(200, str(uuid.UUID(event_id)).encode(), (TEXT,))


def accepted_otlp(*, is_json: bool) -> Answer:
    """Return the answer to an OTLP request, in the request's encoding. An empty message says that everything was accepted."""
    return Answer(200, b"{}", (JSON,)) if is_json else Answer(200, b"", (("content-type", "application/x-protobuf"),))


def pixel() -> Answer:
    """Return the answer to a GET on the store endpoint."""
    return Answer(200, PIXEL, (("content-type", "image/gif"), ("cache-control", "no-store")))
