"""The inbound filters of one project. They are loaded once and called for every event."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Self

from pipeline.filters.browsers import is_crawler, is_extension_error, is_legacy_browser
from pipeline.filters.conditions import IpNetworks, Subject, lenient_condition
from pipeline.filters.filter_file import FilterFile, read_filter_file
from pipeline.filters.origins import DisallowedSources, is_localhost
from pipeline.filters.relay import read_relay_settings
from pipeline.globs.glob import GlobSet
from pipeline.model.event import Event, exceptions, message_of, sent_headers
from pipeline.model.rule_file import Layer


class Filters:
    """A project's inbound filters. Their order is fixed, and the first match gives the reason."""

    def __init__(self, file: FilterFile) -> None:
        self._file = file
        self._generic = [(generic.id, lenient_condition(generic.condition)) for generic in file.generic if generic.enabled]
        self._csp = DisallowedSources(file.csp.disallowed_sources)
        self._networks = IpNetworks(list(file.client_ips.blocked))
        self._releases = GlobSet(file.releases.patterns)
        self._messages = GlobSet(file.error_messages.patterns)
        self._transactions = GlobSet(file.ignored_transactions.patterns)
        self._is_empty = file == FilterFile()

    @classmethod
    def load(cls, layers: Sequence[Layer]) -> Self:
        """Read `filters.toml` of each layer. A table of a later layer wins. Raises InvalidRulesError."""
        return cls(read_filter_file(layers))

    @classmethod
    def from_relay(cls, settings: dict[str, Any], global_filters: dict[str, Any] | None = None) -> Self:
        """Read a project's filter settings and the global filters in Sentry's form."""
        return cls(read_relay_settings(settings, global_filters))

    def first_match(self, event: Event, client_ip: str | None) -> str | None:
        """Return the reason of the first filter that matches a normalized event, or None if it may pass.

        `client_ip` is the address of the connection that sent the event.
        """
        return None if self._is_empty else next(self._matches(event, client_ip), None)

    def _matches(self, event: Event, client_ip: str | None) -> Iterator[str]:
        """Yield the reasons of all filters that match, in the order of docs/spec/filters.md."""
        file = self._file
        subject = Subject(event, client_ip)
        yield from (name for name, condition in self._generic if condition(subject))
        if self._csp.match(event):
            yield "invalid-csp"
        if client_ip and self._networks and self._networks.contains(client_ip):
            yield "ip-address"
        if self._releases and self._releases.matches(event.get("release")):
            yield "release-version"
        if self._messages and any(self._messages.matches(text) for text in error_messages(event)):
            yield "error-message"
        if file.localhost.enabled and is_localhost(event):
            yield "localhost"
        if file.browser_extensions.enabled and is_extension_error(event):
            yield "browser-extensions"
        header = user_agent(event) if file.legacy_browsers.options or file.web_crawlers.enabled else None
        if header and file.legacy_browsers.options and is_legacy_browser(header, file.legacy_browsers.options):
            yield "legacy-browsers"
        if header and file.web_crawlers.enabled and is_crawler(header):
            yield "web-crawlers"
        if self._transactions and event.get("type") == "transaction" and self._transactions.matches(event.get("transaction")):
            yield "filtered-transaction"


def error_messages(event: Event) -> Iterator[str]:
    """Yield each text that a message filter looks at: the message, and each exception as `type: value`."""
    message = message_of(event)
    if message:
        yield message
    for exception in exceptions(event):
        text = ": ".join(part for part in (exception.get("type"), exception.get("value")) if part)
        if text:
            yield text


def user_agent(event: Event) -> str | None:
    """Return the event's User-Agent header, or None."""
    return next((value for name, value in sent_headers(event) if name == "user-agent"), None)
