"""Which web pages may send to a project, and the address of a sender. Pure functions."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence

from pipeline.filters.origins import Origin
from pipeline.model.ip_address import IpAddress, parse_ip

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def is_origin_allowed(headers: Mapping[str, str], allowed: Sequence[str]) -> bool:
    """Whether a request's Origin, or its Referer without one, is among a project's `allowed_origins`.

    A request with neither header is allowed. So are schemes other than http and https, which extensions and apps use.
    An empty list allows no origin. Examples of patterns: `*`, `example.com`, `*.example.com`, `https://example.com:8443`.
    """
    sent = headers.get("origin") or headers.get("referer") or ""
    if not sent.lower().startswith(("http://", "https://")):
        return True
    origin = Origin.parse(sent)
    return any(pattern.strip() == "*" or Origin.parse(pattern).matches(origin) for pattern in allowed)


def sender_address(peer: str, headers: Mapping[str, str], trusted: Sequence[Network]) -> str | None:
    """Return the sender's IP address, or None if it is not known.

    `peer` is the connection's `address:port`. `X-Forwarded-For` counts only if the peer is in one of the `trusted` networks. The
    sender is then the last address in it that is in none of these networks.
    """
    address = _address(peer.rpartition(":")[0])
    for candidate in reversed(headers.get("x-forwarded-for", "").split(",")):
        if address is None or not _is_in(address, trusted):
            break
        forwarded = _address(candidate)
        if forwarded is None:
            break
        address = forwarded
    return None if address is None else str(address)


def _address(text: str) -> IpAddress | None:
    address = parse_ip(text.strip().strip("[]"))
    return getattr(address, "ipv4_mapped", None) or address


def _is_in(address: IpAddress, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)
