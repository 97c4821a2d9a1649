"""`filters.toml`: the events that a project does not want to receive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from pipeline.filters.browsers import LEGACY_OPTIONS
from pipeline.filters.conditions import ConditionError, IpNetworks, parse_condition
from pipeline.globs.glob import GlobSet
from pipeline.model.errors import InvalidRulesError, RuleError
from pipeline.model.rule_file import Layer, find_key, read_layers


class Patterns(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Globs that ignore case. An event that one of them matches is dropped."""

    patterns: tuple[str, ...] = ()


class ClientIps(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Addresses and networks (CIDR). An event from one of them is dropped."""

    blocked: tuple[str, ...] = ()


class Csp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sources whose content-security-policy reports are dropped: `scheme://domain:port`. Each part may be `*`."""

    disallowed_sources: tuple[str, ...] = ()


class Switch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A filter that is on or off."""

    enabled: bool = False


class LegacyBrowsers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Old browsers, by the names in `LEGACY_OPTIONS`. With `default`, the other options do not count."""

    options: tuple[str, ...] = ()


class GenericFilter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A filter with a condition of the project's own. Its `id` becomes the reason of the outcome."""

    id: str
    condition: dict[str, Any] | None = None
    enabled: bool = True


class FilterFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of `filters.toml`. An empty file drops nothing."""

    generic: tuple[GenericFilter, ...] = ()
    csp: Csp = Csp()
    client_ips: ClientIps = ClientIps()
    releases: Patterns = Patterns()
    error_messages: Patterns = Patterns()
    localhost: Switch = Switch()
    browser_extensions: Switch = Switch()
    legacy_browsers: LegacyBrowsers = LegacyBrowsers()
    web_crawlers: Switch = Switch()
    ignored_transactions: Patterns = Patterns()


def read_filter_file(layers: Sequence[Layer]) -> FilterFile:
    """Read the file of each layer and check it. A table of a later layer replaces that of an earlier one.

    Raises InvalidRulesError with all mistakes of a file.
    """
    for layer in layers:
        file = layer.get("filters.toml")
        if file is not None:
            mistakes = _mistakes(read_layers("filters.toml", [layer], FilterFile))
            errors = [RuleError(file.path, _line(file.text, table, value), None, message) for table, value, message in mistakes]
            if errors:
                raise InvalidRulesError(errors)
    return read_layers("filters.toml", layers, FilterFile)


def _mistakes(file: FilterFile) -> Iterator[tuple[str, str, str]]:
    """Yield (table, text at fault, message) for each invalid entry."""
    tables = {"releases": file.releases, "error_messages": file.error_messages, "ignored_transactions": file.ignored_transactions}
    for table, patterns in tables.items():
        for pattern, error in GlobSet(patterns.patterns).errors:
            yield table, pattern, f"glob `{pattern}`: {error}"
    for text in IpNetworks(list(file.client_ips.blocked)).invalid:
        yield "client_ips", text, f"`{text}` is neither an address nor a network"
    for option in file.legacy_browsers.options:
        if option not in LEGACY_OPTIONS:
            yield "legacy_browsers", option, f"unknown option `{option}`, expected one of {', '.join(LEGACY_OPTIONS)}"
    for generic in file.generic:
        try:
            parse_condition(generic.condition)
        except ConditionError as error:
            yield "generic", generic.id, f"generic filter `{generic.id}`: {error}"


def _line(text: str, table: str, value: str) -> int | None:
    """Return the line of a mistake: the first with the value below the table's head, else that of the head."""
    start = find_key(text, table)
    lines = text.splitlines()
    return next((number for number in range(start or 1, len(lines) + 1) if value and value in lines[number - 1]), start)
