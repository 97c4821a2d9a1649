"""Probes for supervisors: `/health`, `/ready` and `/metrics`, on a port of their own that SDKs cannot reach."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

log = logging.getLogger(__name__)


class Page(NamedTuple):
    """A page's status, content type and text."""

    status: int
    content_type: str
    text: bytes


Pages = dict[str, Callable[[], Page]]
"""Functions that return the page of each path."""


def json_page(body: dict[str, Any], *, is_good: bool) -> Page:
    """Return a page of JSON with the status 200 if `is_good`, else 503."""
    return Page(200 if is_good else 503, "application/json", json.dumps(body).encode())


def serve_probes(host: str, port: int, pages: Pages) -> ThreadingHTTPServer:
    """Serve the pages from a thread until `shutdown()`. Raises OSError if the port cannot be used."""

    class Handler(BaseHTTPRequestHandler):
        timeout = 5

        def do_GET(self) -> None:
            page = pages.get(self.path.partition("?")[0])
            answer = page() if page else Page(404, "text/plain", b"not found")
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.text)))
            self.end_headers()
            self.wfile.write(answer.text)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- http.server's name
            log.debug(format, *args)

    class ProbeServer(ThreadingHTTPServer):
        daemon_threads = True

    server = ProbeServer((host, port), Handler)
    threading.Thread(target=server.serve_forever, name="probes", daemon=True).start()
    return server
