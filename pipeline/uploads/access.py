"""Who may use the API: senders with a token or, if no tokens are configured, only processes on this machine."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence

from pipeline.model.ip_address import parse_ip


def may_use_api(headers: Mapping[str, str], peer: str, tokens: Sequence[str]) -> bool:
    """Whether a request may be served. `peer` is the address of the connection, `tokens` those of the settings.

    Without tokens, a web page that a person opens on this machine must not reach the API. So the peer and the Host header must be
    loopback, no page of another origin may have sent the request, and no proxy may have forwarded it.
    """
    if tokens:
        scheme, _, sent = headers.get("authorization", "").partition(" ")
        is_right = [hmac.compare_digest(sent.strip().encode(), token.encode()) for token in tokens]
        return scheme.lower() == "bearer" and any(is_right)
    is_forwarded = any(name == "forwarded" or name.startswith("x-forwarded-") for name in headers)
    origin = headers.get("origin", "")
    is_own_origin = not origin or _is_loopback(_host_of(origin.partition("://")[2]))
    return not is_forwarded and is_own_origin and _is_loopback(peer) and _is_loopback(_host_of(headers.get("host", "")))


def _host_of(header: str) -> str:
    host = header.rpartition("]")[0] if header.startswith("[") else header.partition(":")[0]
    return host.strip("[]")


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    address = parse_ip(host)
    address = getattr(address, "ipv4_mapped", None) or address
    return address is not None and address.is_loopback
