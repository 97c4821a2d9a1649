"""Filters by origin: sources of content-security-policy reports, and errors from a developer's own machine."""

from __future__ import annotations

from typing import NamedTuple, Self
from urllib.parse import urlsplit

from pipeline.model.event import Event, sent_headers

_REPORTED_URLS = ("blocked_uri", "source_file", "document_uri")


class Origin(NamedTuple):
    """A web origin, or a pattern of origins in which None stands for any scheme, domain or port."""

    scheme: str | None
    domain: str | None
    port: str | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a URL, or a pattern such as `*`, `*.example.com` or `https://*:8080`.

        >>> Origin.parse("https://*:8080")
        Origin(scheme='https', domain=None, port='8080')
        """
        scheme, separator, rest = text.strip().lower().partition("://")
        if not separator:
            scheme, rest = "*", scheme
        host = rest.partition("/")[0]
        literal = host.find("]") + 1  # an IPv6 address has colons of its own
        domain, _, port = host[literal:].partition(":")
        domain = host[:literal] + domain
        return cls(*(None if part in {"*", ""} else part for part in (scheme, domain, port)))

    def matches(self, other: Origin) -> bool:
        """Whether this pattern matches an origin."""
        if self.scheme is not None and self.scheme != other.scheme:
            return False
        if self.port is not None and self.port != other.port:
            return False
        if self.domain is None or self.domain == other.domain:
            return True
        return self.domain.startswith("*.") and f".{other.domain or ''}".endswith(self.domain[1:])


class DisallowedSources:
    """The sources whose content-security-policy reports a project does not want."""

    def __init__(self, patterns: tuple[str, ...]) -> None:
        self._origins = [Origin.parse(pattern) for pattern in patterns if pattern.strip()]
        self._any = any(origin == (None, None, None) for origin in self._origins)

    def match(self, event: Event) -> bool:
        """Whether an event is a report that names one of the sources. A lone `*` matches every report."""
        if not self._origins or event.get("type") != "csp":
            return False
        if self._any:
            return True
        report = event.get("csp") or {}
        urls = [Origin.parse(url) for name in _REPORTED_URLS if isinstance(url := report.get(name), str) and url]
        return any(origin.matches(url) for url in urls for origin in self._origins)


_ADDRESSES = frozenset({"127.0.0.1", "::1"})
_HOSTS = ("127.0.0.1", "localhost")
_HOST_HEADERS = frozenset({"host", "x-forwarded-host"})


def is_localhost(event: Event) -> bool:
    """Whether the user's address, the page's URL or the request's host is that of the local machine."""
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
