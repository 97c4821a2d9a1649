from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from typing import Any

import pytest
from urllib3.connection import HTTPConnection

from pipeline.sourcemaps.http_scraper import HttpScraper, ScrapingLimits

PUBLIC = "93.184.215.14"


class FakeServer:
    """Stands in for DNS and TLS connections; answers are written as a server would."""

    def __init__(self, pages: dict[str, bytes], addresses: dict[str, list[str]] | None = None) -> None:
        self.pages = pages
        self.addresses = addresses or {}
        self.connected: list[tuple[str, str]] = []
        self.now = 0.0
        self.seconds_per_read = 0.0

    def resolve(self, host: str, port: int) -> Sequence[str]:
        assert port == 443
        return self.addresses.get(host, [PUBLIC])

    def connect(self, host: str, address: str, port: int, timeout_s: float) -> HTTPConnection:
        self.connected.append((host, address))
        return _FakeConnection(self, host, port, timeout_s)

    def clock(self) -> float:
        return self.now

    def scraper(self, *hosts: str, **limits: Any) -> HttpScraper:
        allowed = hosts or ("cdn.example.com",)
        return HttpScraper(allowed, ScrapingLimits(**limits), resolve=self.resolve, connect=self.connect, clock=self.clock)


class _FakeConnection(HTTPConnection):
    """urllib3's connection on a socket that answers what the server has for the path."""

    def __init__(self, server: FakeServer, host: str, port: int, timeout_s: float) -> None:
        super().__init__(host, port, timeout=timeout_s)
        self.sock: Any = _FakeSocket(server, host)


class _FakeSocket:
    def __init__(self, server: FakeServer, host: str) -> None:
        self._server = server
        self._host = host
        self._request = b""

    def sendall(self, data: bytes) -> None:
        self._request += data

    def makefile(self, _: str) -> io.BytesIO:
        method, path, _ = self._request.decode().split(" ", 2)
        assert method == "GET"
        assert f"\r\nHost: {self._host}\r\n" in self._request.decode()
        url = f"https://{self._host}{path}"
        return _SlowBytes(self._server.pages.get(url, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), self._server)

    def settimeout(self, timeout_s: float) -> None:
        assert timeout_s > 0

    def close(self) -> None:
        pass


class _SlowBytes(io.BytesIO):
    def __init__(self, content: bytes, server: FakeServer) -> None:
        super().__init__(content)
        self._server = server

    def read1(self, size: int | None = -1, /) -> bytes:
        self._server.now += self._server.seconds_per_read
        return super().read1(size)


def page(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def redirect(to: str) -> bytes:
    return b"HTTP/1.1 302 Found\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % to.encode()


URL = "https://cdn.example.com/app.js?v=1"


def test_a_public_file_is_fetched_once() -> None:
    server = FakeServer({URL: page(b"code")})
    scraper = server.scraper()
    for _ in range(2):
        assert scraper.fetch(f"{URL}#x").content == b"code"
    assert server.connected == [("cdn.example.com", PUBLIC)], "connected to the address that was checked"
    server.now += 3_601
    scraper.fetch(URL)
    assert len(server.connected) == 2


@pytest.mark.parametrize(
    "url",
    [
        "http://cdn.example.com/app.js",
        "https://evil.example.com/app.js",
        "https://cdn.example.com.evil.com/app.js",
        "https://user:pass@cdn.example.com/app.js",
        "ftp://cdn.example.com/app.js",
        "file:///etc/passwd",
        "https:///app.js",
        "https://",
    ],
)
def test_what_is_not_allowed_is_not_asked(url: str) -> None:
    server = FakeServer({})
    assert server.scraper().fetch(url).reason == "disallowed"
    assert server.connected == []


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "0.0.0.0",  # noqa: S104 -- an address that is asked for, not bound to
        "100.64.0.1",
        "224.0.0.1",
        "::1",
        "fe80::1%eth0",
        "fd00::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
    ],
)
def test_a_name_that_leads_inside_is_not_asked(address: str) -> None:
    server = FakeServer({URL: page(b"secret")}, {"cdn.example.com": [PUBLIC, address]})
    assert server.scraper().fetch(URL).reason == "disallowed"
    assert server.connected == []


def test_a_redirect_is_checked_like_the_first_request() -> None:
    server = FakeServer(
        {
            URL: redirect("/other.js"),
            "https://cdn.example.com/other.js": page(b"code"),
            "https://cdn.example.com/inside.js": redirect("https://inside.example.com/x"),
            "https://cdn.example.com/plain.js": redirect("http://cdn.example.com/x"),
            "https://cdn.example.com/loop.js": redirect("/loop.js"),
            "https://cdn.example.com/nowhere.js": redirect(""),
        },
        {"inside.example.com": ["10.0.0.1"]},
    )
    scraper = server.scraper("*.example.com")
    assert scraper.fetch(URL).content == b"code"
    assert scraper.fetch("https://cdn.example.com/inside.js").reason == "disallowed"
    assert scraper.fetch("https://cdn.example.com/plain.js").reason == "disallowed"
    assert scraper.fetch("https://cdn.example.com/loop.js").reason == "failed"
    assert scraper.fetch("https://cdn.example.com/nowhere.js").content is None
    assert {address for _, address in server.connected} == {PUBLIC}


def test_size_and_time_are_bounded_and_failures_remembered() -> None:
    server = FakeServer({URL: page(b"x" * 1_000_000), "https://cdn.example.com/slow.js": page(b"x" * 1_000_000)})
    scraper = server.scraper(max_file_bytes=100_000, timeout_s=5.0, budget_s=8.0)
    assert scraper.fetch(URL).reason == "too_large"
    server.seconds_per_read = 6.0
    assert scraper.fetch("https://cdn.example.com/slow.js").reason == "timeout"
    assert scraper.fetch("https://cdn.example.com/slow.js").reason == "timeout"
    assert len(server.connected) == 2
    assert scraper.fetch("https://cdn.example.com/none.js").reason == "not_found"
    assert scraper.fetch("https://cdn.example.com/broken?").reason == "not_found"


def test_all_fetches_together_take_no_more_than_their_budget() -> None:
    server = FakeServer({f"https://cdn.example.com/{number}": page(b"x" * 1_000_000) for number in range(9)})
    server.seconds_per_read = 6.0
    scraper = server.scraper(timeout_s=5.0, budget_s=11.0)
    for number in range(9):
        scraper.fetch(f"https://cdn.example.com/{number}")
    assert len(server.connected) == 2
    server.now += 60
    scraper.fetch("https://cdn.example.com/8")
    assert len(server.connected) == 3, "a fetch that was never tried is not remembered as failed"


BROKEN_ANSWERS = [
    b"",
    b"garbage\r\n\r\n",
    b"HTTP/1.1 500 Oops\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx",
]


@pytest.mark.parametrize("answer", BROKEN_ANSWERS)
def test_a_server_that_misbehaves_gives_no_file(answer: bytes) -> None:
    assert FakeServer({URL: answer}).scraper().fetch(URL) == (None, "failed")


def test_a_name_server_that_does_not_answer_ends_with_the_deadline() -> None:
    answered = threading.Event()

    def resolve(_: str, __: int) -> Sequence[str]:
        answered.wait(60)
        return [PUBLIC]

    server = FakeServer({URL: page(b"code")})
    scraper = HttpScraper(["cdn.example.com"], ScrapingLimits(timeout_s=0.05), resolve=resolve, connect=server.connect)
    assert scraper.fetch(URL).reason == "timeout"
    assert server.connected == []
    answered.set()
