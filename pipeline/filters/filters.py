"""Filters of one project: loaded once, asked for every event."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from typing import Any, Self

import msgspec

from pipeline.filters.globs import GlobSet
from pipeline.model.rule_file import Layer
from pipeline.model.toml_file import read_layers


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One table of `filters.toml`."""


class Patterns(_Table):
    """Globs; an event that one of them matches is dropped."""

    patterns: tuple[str, ...] = ()


class ClientIps(_Table):
    """Addresses and networks whose connections are refused."""

    blocked: tuple[str, ...] = ()


class FilterFile(_Table):
    """The whole of `filters.toml`. An empty file configures nothing."""

    client_ips: ClientIps = ClientIps()
    releases: Patterns = Patterns()
    error_messages: Patterns = Patterns()


class Filters:
    """A project's inbound filters, in the fixed order that decides which reason an event gets."""

    def __init__(self, file: FilterFile) -> None:
        self._networks = [ipaddress.ip_network(text, strict=False) for text in file.client_ips.blocked]
        self._releases = GlobSet(file.releases.patterns)
        self._messages = GlobSet(file.error_messages.patterns)

    @classmethod
    def load(cls, layers: Sequence[Layer]) -> Self:
        """Read `filters.toml` of each layer; the later layer's tables win. Raises InvalidRulesError."""
        return cls(read_layers("filters.toml", layers, FilterFile))

    def first_match(self, event: dict[str, Any], client_ip: str | None) -> str | None:
        """Give the reason of the first filter that matches a normalized event; None where it may pass."""
        if self._networks and client_ip and self._is_blocked(client_ip):
            return "ip-address"
        if self._releases and self._releases.matches(event.get("release")):
            return "release-version"
        if self._messages and any(self._messages.matches(text) for text in error_messages(event)):
            return "error-message"
        return None

    def _is_blocked(self, client_ip: str) -> bool:
        try:
            address = ipaddress.ip_address(client_ip)
        except ValueError:
            return False
        return any(address in network for network in self._networks)


def error_messages(event: dict[str, Any]) -> Iterator[str]:
    """Give every text that a message filter looks at: the message, and each exception as `type: value`."""
    entry = event.get("logentry") or {}
    message = entry.get("formatted") or entry.get("message")
    if message:
        yield message
    for exception in (event.get("exception") or {}).get("values") or ():
        if exception:
            text = ": ".join(part for part in (exception.get("type"), exception.get("value")) if part)
            if text:
                yield text
