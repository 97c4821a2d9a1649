"""Localhost: errors from a developer's own machine."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from pipeline.model.headers import sent_headers

_ADDRESSES = frozenset({"127.0.0.1", "::1"})
_HOSTS = ("127.0.0.1", "localhost")
_HOST_HEADERS = frozenset({"host", "x-forwarded-host"})


def is_localhost(event: dict[str, Any]) -> bool:
    """Say whether the user's address, the page's URL or the request's host is the local machine's."""
    if (event.get("user") or {}).get("ip_address") in _ADDRESSES:
        return True
    url = (event.get("request") or {}).get("url")
    if url and _is_local_url(url):
        return True
    return any(name in _HOST_HEADERS and value.partition(":")[0] in _HOSTS for name, value in sent_headers(event))


def _is_local_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    if parts.scheme == "file":
        return True
    return bool(parts.scheme) and host is not None and any(host == local or host.endswith(f".{local}") for local in _HOSTS)
