"""Fetch built files from public web servers, and from nowhere else.

What may be fetched: https, from allowed hosts, at addresses that are public. The address that was checked is the one that is
connected to, also after a redirect, so that no DNS answer leads inside. Size and time are bounded, results are kept.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple
from urllib.parse import SplitResult, urljoin, urlsplit

from pipeline.sourcemaps.bounded_cache import BoundedCache
from pipeline.sourcemaps.files import ScrapedFile

_MAX_REDIRECTS = 3
_CHUNK_BYTES = 65_536
_FAILURE_COST_BYTES = 512
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

Resolve = Callable[[str, int], Sequence[str]]
Connect = Callable[[str, str, int, float], http.client.HTTPConnection]


class ScrapingLimits(NamedTuple):
    """Bounds of one file (bytes), one fetch with all its redirects (seconds), and how long results are kept (seconds).

    `budget_s` is what all fetches together may take of a minute: workers wait for them.
    """

    max_file_bytes: int = 32_000_000
    timeout_s: float = 10.0
    budget_s: float = 20.0
    keep_s: float = 3_600.0
    memory_bytes: int = 64_000_000


_DEFAULTS = ScrapingLimits()


class _Kept(NamedTuple):
    result: ScrapedFile
    until_s: float


class HttpScraper:
    """Fetches from `allowed_hosts`: exact names, or `*.example.com` for all below one."""

    def __init__(
        self,
        allowed_hosts: Sequence[str],
        limits: ScrapingLimits = _DEFAULTS,
        *,
        resolve: Resolve | None = None,
        connect: Connect | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._allowed_hosts = tuple(host.lower() for host in allowed_hosts)
        self._limits = limits
        self._resolve = resolve or _resolve
        self._connect = connect or _PinnedConnection
        self._clock = clock
        self._kept: BoundedCache[str, _Kept] = BoundedCache(limits.memory_bytes)
        self._minute = 0
        self._spent_s = 0.0

    def fetch(self, url: str) -> ScrapedFile:
        """Fetch a file, or give what came of the last attempt."""
        url = url.split("#", 1)[0]
        kept = self._kept.get(url)
        if kept is not None and self._clock() < kept.until_s:
            return kept.result
        started_s = self._clock()
        if int(started_s // 60) != self._minute:
            self._minute, self._spent_s = int(started_s // 60), 0.0
        if self._spent_s >= self._limits.budget_s:
            return ScrapedFile(None, "timeout")
        result = self._fetch(url)
        self._spent_s += self._clock() - started_s
        cost_bytes = _FAILURE_COST_BYTES + len(result.content or b"") + len(url)
        self._kept.put(url, _Kept(result, self._clock() + self._limits.keep_s), cost_bytes)
        return result

    def _fetch(self, url: str) -> ScrapedFile:
        deadline_s = self._clock() + self._limits.timeout_s
        try:
            for _ in range(_MAX_REDIRECTS + 1):
                result = self._fetch_once(url, deadline_s)
                if isinstance(result, ScrapedFile):
                    return result
                url = urljoin(url, result)
        except TimeoutError:
            return ScrapedFile(None, "timeout")
        except (OSError, http.client.HTTPException, ValueError):
            return ScrapedFile(None, "failed")
        return ScrapedFile(None, "failed")

    def _fetch_once(self, url: str, deadline_s: float) -> ScrapedFile | str:
        """Give the file, or where a redirect leads."""
        parts = urlsplit(url)
        host, address = parts.hostname, None
        if host is not None and self._is_allowed(parts):
            address = self._public_address(host, parts.port or 443)
        if host is None or address is None:
            return ScrapedFile(None, "disallowed")
        connection = self._connect(host, address, parts.port or 443, self._time_left(deadline_s))
        try:
            target = parts.path or "/"
            connection.request(
                "GET", f"{target}?{parts.query}" if parts.query else target, headers={"Accept-Encoding": "identity"}
            )
            response = connection.getresponse()
            if response.status in _REDIRECTS:
                return response.headers.get("Location", "")
            if response.status != http.client.OK:
                return ScrapedFile(None, "not_found" if response.status in {404, 410} else "failed")
            return self._read(response, connection, deadline_s)
        finally:
            connection.close()

    def _read(self, response: http.client.HTTPResponse, connection: http.client.HTTPConnection, deadline_s: float) -> ScrapedFile:
        content = bytearray()
        while chunk := response.read1(_CHUNK_BYTES):
            content += chunk
            if len(content) > self._limits.max_file_bytes:
                return ScrapedFile(None, "too_large")
            left_s = self._time_left(deadline_s)
            if connection.sock is not None:
                connection.sock.settimeout(left_s)
        if response.length:  # the connection ended before the file did
            return ScrapedFile(None, "failed")
        return ScrapedFile(bytes(content))

    def _time_left(self, deadline_s: float) -> float:
        left_s = deadline_s - self._clock()
        if left_s <= 0:
            raise TimeoutError
        return left_s

    def _is_allowed(self, parts: SplitResult) -> bool:
        host = parts.hostname or ""
        if parts.scheme != "https" or parts.username is not None or parts.password is not None:
            return False
        return any(
            host == allowed or (allowed.startswith("*.") and host.endswith(allowed[1:])) for allowed in self._allowed_hosts
        )

    def _public_address(self, host: str, port: int) -> str | None:
        """Give an address to connect to; None where any that the name has is not public."""
        addresses = self._resolve(host, port)
        if not addresses or not all(_is_public(address) for address in addresses):
            return None
        return addresses[0]


def _is_public(address: str) -> bool:
    ip = ipaddress.ip_address(address.split("%", 1)[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is not None and not _is_public(str(inner)):
            return False
        if ip in _NAT64:
            return _is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
    return ip.is_global and not ip.is_multicast


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def _resolve(host: str, port: int) -> Sequence[str]:
    return [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class _PinnedConnection(http.client.HTTPSConnection):
    """Connects to an address that was checked; the certificate must be the host's."""

    def __init__(self, host: str, address: str, port: int, timeout_s: float) -> None:
        context = ssl.create_default_context()
        super().__init__(host, port, timeout=timeout_s, context=context)
        self._address = address
        self._tls = context

    def connect(self) -> None:
        """Open the socket to the address and speak TLS to the host."""
        plain = socket.create_connection((self._address, self.port), self.timeout)
        try:
            self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise
