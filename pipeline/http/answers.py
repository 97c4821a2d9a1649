"""Answers to requests: status, headers and body. Refusals have the form that Sentry's clients read."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

JSON = ("content-type", "application/json")
TEXT = ("content-type", "text/plain; charset=utf-8")
MAX_SAID_CHARS = 500


class Answer(NamedTuple):
    """A response."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


class RefusedRequestError(Exception):
    """A request that is not accepted. `causes` go into the answer's body after `detail`.

    `reason` is the reason of its outcome, if the request belongs to a project.
    """

    def __init__(self, status: int, detail: str, *causes: str, reason: str | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.causes = causes
        self.reason = reason

    def answer(self) -> Answer:
        """Return the answer with the status and the detail."""
        body = {"detail": self.detail} | ({"causes": list(self.causes)} if self.causes else {})
        said = "; ".join((self.detail, *self.causes)).encode("ascii", "replace").decode()
        header = ("x-sentry-error", said.replace("\n", " ")[:MAX_SAID_CHARS])
        return Answer(self.status, msgspec.json.encode(body), (JSON, header))


def body_too_large() -> RefusedRequestError:
    """Return the refusal of a body that is too large as a whole."""
    return RefusedRequestError(413, "request body is too large", reason="too_large:envelope")
