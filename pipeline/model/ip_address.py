"""IP addresses: parsed in one place, whoever sent or wrote them."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_CHARS = 64
"""The longest address: IPv6 with an embedded IPv4 address and the name of an interface."""


def parse_ip(text: str) -> IpAddress | None:
    """Parse an address of IPv4 or IPv6. None for any other text."""
    return _parse(text) if len(text) <= MAX_CHARS else None


@lru_cache(maxsize=4_096)
def _parse(text: str) -> IpAddress | None:
    """Parse a short text. Results are remembered: addresses repeat, and one takes as long as a frame of a stack."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
