"""Sources of content-security-policy reports: patterns such as `*`, `*.example.com`, `https://*:8080`."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

_URLS = ("blocked_uri", "source_file", "document_uri")


class Origin(NamedTuple):
    """Scheme, domain and port; None stands for any."""

    scheme: str | None
    domain: str | None
    port: str | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a URL, or a pattern where `*` stands for any of the three."""
        scheme, separator, rest = text.strip().lower().partition("://")
        if not separator:
            scheme, rest = "*", scheme
        host = rest.partition("/")[0]
        literal = host.find("]") + 1  # an IPv6 address has colons of its own
        domain, _, port = host[literal:].partition(":")
        domain = host[:literal] + domain
        return cls(*(None if part in {"*", ""} else part for part in (scheme, domain, port)))

    def matches(self, other: Origin) -> bool:
        """Say whether an origin is what this pattern describes."""
        if self.scheme is not None and self.scheme != other.scheme:
            return False
        if self.port is not None and self.port != other.port:
            return False
        if self.domain is None or self.domain == other.domain:
            return True
        return self.domain.startswith("*.") and f".{other.domain or ''}".endswith(self.domain[1:])


class DisallowedSources:
    """The sources whose reports a project does not want."""

    def __init__(self, patterns: tuple[str, ...]) -> None:
        self._origins = [Origin.parse(pattern) for pattern in patterns if pattern.strip()]
        self._any = any(origin == (None, None, None) for origin in self._origins)

    def match(self, event: dict[str, Any]) -> bool:
        """Say whether a report names one of them. A lone `*` matches every report."""
        if not self._origins or event.get("type") != "csp":
            return False
        if self._any:
            return True
        report = event.get("csp") or {}
        urls = [Origin.parse(url) for name in _URLS if isinstance(url := report.get(name), str) and url]
        return any(origin.matches(url) for url in urls for origin in self._origins)
