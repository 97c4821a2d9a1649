"""User agents: the browser, system and device that a User-Agent header names."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from ua_parser import parse

MAX_LENGTH = 1_000
"""Characters of a header that are read. Real headers have about 150. The limit bounds the cost of hostile headers and of the
cache."""

CACHED = 4_096
"""Headers that are remembered. A parse costs some 200 µs, and floods repeat a few hundred headers."""


class UserAgent(NamedTuple):
    """The parts that a header names. Missing ones are None. Versions are dotted numbers."""

    browser: str | None = None
    browser_major: str | None = None
    browser_version: str | None = None
    os: str | None = None
    os_version: str | None = None
    device_family: str | None = None
    device_brand: str | None = None
    device_model: str | None = None


def parse_user_agent(header: str) -> UserAgent:
    """Parse a User-Agent header. Unknown parts are None. Never raises."""
    return _parse(header[:MAX_LENGTH])


@lru_cache(maxsize=CACHED)
def _parse(header: str) -> UserAgent:
    found = parse(header)
    browser, system, device = found.user_agent, found.os, found.device
    return UserAgent(
        browser.family if browser else None,
        browser.major if browser else None,
        _version(browser.major, browser.minor, browser.patch) if browser else None,
        system.family if system else None,
        _version(system.major, system.minor, system.patch) if system else None,
        device.family if device else None,
        device.brand if device else None,
        device.model if device else None,
    )


def _version(*parts: str | None) -> str | None:
    known = []
    for part in parts:
        if not part:
            break
        known.append(part)
    return ".".join(known) or None
