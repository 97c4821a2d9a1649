"""The HTTP server: granian with its RSGI interface, embedded into this process and the caller's event loop."""

from __future__ import annotations

import asyncio
import resource
import socket
from typing import Any, Protocol

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from pipeline.http.exchange import Exchange
from pipeline.model.errors import SettingsError

BACKLOG = 1_024
"""How many connections may wait to be accepted."""
LOOK_EVERY_S = 0.02


class HttpApplication(Protocol):
    """The application that the server runs. It is called for every request, on the event loop's thread."""

    async def __rsgi__(self, scope: Any, protocol: Exchange) -> None:
        """Answer one request."""


def make_server(application: HttpApplication, host: str, port: int, *, max_connections: int, header_timeout_s: float) -> Server:
    """Return the HTTP server. `await serve()` runs it on the caller's event loop, `stop()` ends it.

    It speaks HTTP/1.1 only. If granian also accepts HTTP/2, a connection that sends nothing is never closed. A proxy in front can
    speak HTTP/2 to clients.
    """
    return Server(
        application,
        address=host,
        port=port,
        interface=Interfaces.RSGI,
        http=HTTPModes.http1,
        websockets=False,
        backlog=BACKLOG,
        backpressure=max_connections,
        http1_settings=HTTP1Settings(header_read_timeout=round(header_timeout_s * 1e3), max_buffer_size=65_536),
        log_enabled=False,
    )


async def wait_until_listening(serving: asyncio.Task[None], host: str, port: int) -> None:
    """Return as soon as the server takes connections, or has ended. `serving` is the task of its `serve()`."""
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 -- compared, not bound
    while not serving.done():
        try:
            _, writer = await asyncio.open_connection(reached, port)
        except OSError:
            await asyncio.sleep(LOOK_EVERY_S)
        else:
            writer.close()
            return


def keep_alive(header_timeout_s: float) -> tuple[str, str]:
    """Return the header that makes Node's client close an idle connection before the server does."""
    return "keep-alive", f"timeout={max(1, int(header_timeout_s) - 1)}"


def parse_listen(text: str, setting: str) -> tuple[str, int]:
    """Parse `host:port` or `[address]:port`. Raises SettingsError, which names the setting."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise SettingsError(f"{setting}: {text!r} is not host:port, such as 127.0.0.1:3000")
    return host.strip("[]"), int(port)


def check_port(host: str, port: int, setting: str) -> None:
    """Check that the port is free before anything starts. The server would end with a stack trace. Raises SettingsError."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        socket.create_server(address[:2], family=family).close()
    except OSError as error:
        raise SettingsError(f"{setting}: {error.strerror}") from None


def allow_files() -> None:
    """Raise the limit of open files as far as allowed. Each connection is one, and many systems start with 1,024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
