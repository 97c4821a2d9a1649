"""Fetches built files from public web servers. The HTTP client is urllib3.

A file is fetched only over https, from allowed hosts, at public addresses. The scraper connects to the address that it has
checked, also after a redirect, so that no DNS answer can lead it into the local network. Size and time (including DNS) are
limited, and results are cached. Redirects, the deadline and addresses are handled here, because no client handles all three:
urllib3's time-outs apply to each read and do not include DNS, and aiohttp does not call its resolver for a host that is an
address.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import NamedTuple
from urllib.parse import SplitResult, urljoin, urlsplit

import urllib3.exceptions
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.response import BaseHTTPResponse

from pipeline.model.byte_bounded_lru import ByteBoundedLru
from pipeline.sourcemaps.files import ScrapedFile

_MAX_REDIRECTS = 3
_CHUNK_BYTES = 65_536
_FAILURE_COST_BYTES = 512
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

Resolve = Callable[[str, int], Sequence[str]]
Connect = Callable[[str, str, int, float], HTTPConnection]


class ScrapingLimits(NamedTuple):
    """Limits of one file (bytes) and of one fetch with all redirects (seconds), and how long results are kept (seconds).

    `budget_s` is how many seconds of each minute all fetches together may take, since a worker waits for them.
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
    """Fetches from `allowed_hosts`: exact names, or `*.example.com` for all names below one."""

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
        self._connect = connect or connect_to
        self._clock = clock
        self._kept: ByteBoundedLru[str, _Kept] = ByteBoundedLru(limits.memory_bytes)
        self._minute = 0
        self._spent_s = 0.0

    def fetch(self, url: str) -> ScrapedFile:
        """Return a file, or what an earlier attempt returned. Raises nothing, whatever the server does."""
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
        except (TimeoutError, urllib3.exceptions.TimeoutError):
            return ScrapedFile(None, "timeout")
        except (OSError, urllib3.exceptions.HTTPError, http.client.HTTPException, ValueError):
            return ScrapedFile(None, "failed")
        return ScrapedFile(None, "failed")

    def _fetch_once(self, url: str, deadline_s: float) -> ScrapedFile | str:
        """Return the file, or the address that a redirect names."""
        parts = urlsplit(url)
        host, address = parts.hostname, None
        if host is not None and self._is_allowed(parts):
            address = self._public_address(host, parts.port or 443, deadline_s)
        if host is None or address is None:
            return ScrapedFile(None, "disallowed")
        connection = self._connect(host, address, parts.port or 443, self._time_left(deadline_s))
        try:
            target = parts.path or "/"
            connection.request(
                "GET",
                f"{target}?{parts.query}" if parts.query else target,
                headers={"Host": parts.netloc, "Accept-Encoding": "identity"},
                preload_content=False,
            )
            response = connection.getresponse()
            if response.status in _REDIRECTS:
                return response.headers.get("Location", "")
            if response.status != 200:
                return ScrapedFile(None, "not_found" if response.status in {404, 410} else "failed")
            return self._read(response, connection, deadline_s)
        finally:
            connection.close()

    def _read(self, response: BaseHTTPResponse, connection: HTTPConnection, deadline_s: float) -> ScrapedFile:
        content = bytearray()
        while chunk := response.read1(_CHUNK_BYTES):
            content += chunk
            if len(content) > self._limits.max_file_bytes:
                return ScrapedFile(None, "too_large")
            left_s = self._time_left(deadline_s)
            if connection.sock is not None:
                connection.sock.settimeout(left_s)
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

    def _public_address(self, host: str, port: int, deadline_s: float) -> str | None:
        """Return an address of a host. None if any of its addresses is not public. Raises TimeoutError at the deadline.

        The system's resolver has no deadline, so it is called in a thread. At most `budget_s / timeout_s` such threads are left
        running in a minute, and they do not keep the process from ending.
        """
        answer: Future[Sequence[str]] = Future()

        def ask() -> None:
            try:
                answer.set_result(self._resolve(host, port))
            except Exception as error:  # noqa: BLE001 -- raised again in the caller's thread
                answer.set_exception(error)

        threading.Thread(target=ask, name="scraper-dns", daemon=True).start()
        addresses = answer.result(self._time_left(deadline_s))
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


def connect_to(host: str, address: str, port: int, timeout_s: float) -> HTTPSConnection:
    """Return a connection to an address. The certificate must be the host's."""
    return HTTPSConnection(address, port, server_hostname=host, timeout=timeout_s)
