"""A request: in granian's form, and in the form that applications read."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Mapping
from typing import Any, NamedTuple, Protocol

_SLASHES = re.compile("//+")


class Exchange(Protocol):
    """The object by which granian passes a request's body and takes its answer."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the body in pieces."""

    def __call__(self) -> Awaitable[bytes]:
        """Read the whole body."""

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Send the answer."""


class Request(NamedTuple):
    """A request without its body. `path` has no repeated slashes. Names of `headers` are in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]


def read_request(scope: Any) -> Request:
    """Return the request of an RSGI scope."""
    headers = {name.lower(): value for name, value in scope.headers.items()}
    return Request(scope.method, fold_slashes(scope.path), scope.query_string, headers)


def peer_address(scope: Any) -> str:
    """Return the address of the connection that a request came by, without its port."""
    return str(scope.client).rpartition(":")[0].strip("[]")


def fold_slashes(path: str) -> str:
    """Replace repeated slashes by one. With a DSN that ends in a slash, SDKs post to `//api/1/envelope/`."""
    return _SLASHES.sub("/", path)


def content_length(headers: Mapping[str, str]) -> int | None:
    """Return the size that a request declares; None without one."""
    text = headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else None
