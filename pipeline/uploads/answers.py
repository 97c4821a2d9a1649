"""Requests to the API under `/api/0/`, answers, and the errors that become one."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec


class ApiRequest(NamedTuple):
    """A request. `path` has its slashes folded; `headers` have names in lower case; `body` is without its encoding."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    query: str = ""


class ApiAnswer(NamedTuple):
    """A status and JSON. sentry-cli reads nothing but `application/json`. `headers` are further ones, such as Link."""

    status: int
    body: Any
    headers: tuple[tuple[str, str], ...] = ()

    def text(self) -> bytes:
        """Return the body's JSON, or nothing for a status without a body."""
        return b"" if self.body is None else msgspec.json.encode(self.body)


class ApiError(Exception):
    """A request that cannot be fulfilled. The message is for the person who runs the client."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status

    def answer(self) -> ApiAnswer:
        """Return the answer with the status and the message."""
        return ApiAnswer(self.status, {"detail": str(self)})
