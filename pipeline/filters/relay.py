"""Reader of filter settings in the form that Sentry sends to Relay."""

from __future__ import annotations

from typing import Any

from pipeline.filters.filter_file import ClientIps, Csp, FilterFile, GenericFilter, LegacyBrowsers, Patterns, Switch

MAX_GENERIC_VERSION = 1
"""A newer version may hold conditions that this reader would misunderstand, so then no generic filter runs."""


def read_relay_settings(settings: dict[str, Any], global_filters: dict[str, Any] | None = None) -> FilterFile:
    """Read a project's `filterSettings` and the `filters` of the global configuration. Malformed parts are ignored."""
    legacy = _table(settings, "legacyBrowsers")
    ignored = _table(settings, "ignoreTransactions")
    return FilterFile(
        generic=merge_generic(_table(settings, "generic"), global_filters or {}),
        csp=Csp(_texts(settings, "csp", "disallowedSources")),
        client_ips=ClientIps(_texts(settings, "clientIps", "blacklistedIps")),
        releases=Patterns(_texts(settings, "releases", "releases")),
        error_messages=Patterns(_texts(settings, "errorMessages", "patterns")),
        localhost=_switch(settings, "localhost"),
        browser_extensions=_switch(settings, "browserExtensions"),
        legacy_browsers=LegacyBrowsers(_texts(settings, "legacyBrowsers", "options") if legacy.get("isEnabled") is True else ()),
        web_crawlers=_switch(settings, "webCrawlers"),
        ignored_transactions=Patterns(
            _texts(settings, "ignoreTransactions", "patterns") if ignored.get("isEnabled") is True else ()
        ),
    )


def merge_generic(project: dict[str, Any], everywhere: dict[str, Any]) -> tuple[GenericFilter, ...]:
    """Return the project's generic filters, then the global ones.

    If both have a filter of the same id, the project's counts. It takes the global condition if it has none of its own.
    """
    if any(_version(part) > MAX_GENERIC_VERSION for part in (project, everywhere)):
        return ()
    shared = _by_id(everywhere)
    merged: dict[str, GenericFilter] = {}
    for name, own in _by_id(project).items():
        condition = own.get("condition") or shared.get(name, {}).get("condition")
        merged[name] = GenericFilter(name, condition, own.get("isEnabled") is True)
    for name, other in shared.items():
        merged.setdefault(name, GenericFilter(name, other.get("condition"), other.get("isEnabled") is True))
    return tuple(merged.values())


def _version(config: dict[str, Any]) -> float:
    version = config.get("version", 1)
    return version if isinstance(version, int | float) else 0


def _by_id(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    filters = config.get("filters")
    entries = list(filters.values()) if isinstance(filters, dict) else filters if isinstance(filters, list) else []
    found: dict[str, dict[str, Any]] = {}
    for entry in entries:
        if isinstance(entry, dict) and isinstance(entry.get("id"), str):
            found.setdefault(entry["id"], entry)
    return found


def _table(settings: dict[str, Any], name: str) -> dict[str, Any]:
    table = settings.get(name)
    return table if isinstance(table, dict) else {}


def _switch(settings: dict[str, Any], name: str) -> Switch:
    return Switch(_table(settings, name).get("isEnabled") is True)


def _texts(settings: dict[str, Any], table: str, name: str) -> tuple[str, ...]:
    values = _table(settings, table).get(name)
    return tuple(value for value in values if isinstance(value, str)) if isinstance(values, list) else ()
