"""The loopback server that SDKs and sentry-cli talk to. It keeps what arrives and answers every request with success.

SDKs: POST /api/<project>/envelope/. sentry-cli: the three requests of an artifact upload (spec: javascript.md section 3).
Pages of the browser programs are served from a folder, so that one address is enough.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
import threading
import zlib
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

from recorder.envelope import SentEnvelope
from recorder.workspace import RecordingError

CHUNK_BYTES = 32 << 20
"""Larger than any bundle made here, so that a bundle arrives as one chunk."""
CONTENT_TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".map": "application/json"}


@dataclass
class Received:
    """What arrived since it was last taken: envelopes in order, uploaded chunks by their sha1."""

    envelopes: list[SentEnvelope] = field(default_factory=list)
    chunks: dict[str, bytes] = field(default_factory=dict)


class CaptureServer:
    """The server and its thread, for a `with`. `take()` hands over what arrived. Raises RecordingError if the port is taken."""

    def __init__(self, port: int, pages: Path) -> None:
        self._received = Received()
        self._lock = threading.Lock()
        self.port = port
        self.pages = pages
        capture = self

        class Handler(_Handler):
            server_of_record = capture

        try:
            self._server = _QuietServer(("127.0.0.1", port), Handler)
        except OSError as error:
            raise RecordingError(f"the recorder needs 127.0.0.1:{port}: {error.strerror}") from error

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    def dsn(self, project_id: int, host: str = "") -> str:
        """Return the DSN that a program of this project is started with."""
        return f"http://{public_key(project_id)}@{host or f'127.0.0.1:{self.port}'}/{project_id}"

    def keep_envelope(self, body: bytes, dsn: str) -> None:
        """Remember an envelope and the DSN that its request named."""
        with self._lock:
            self._received.envelopes.append(SentEnvelope(body, dsn))

    def keep_chunk(self, sha1: str, body: bytes) -> None:
        """Remember an uploaded chunk."""
        with self._lock:
            self._received.chunks[sha1] = body

    def missing_chunks(self, wanted: list[str]) -> list[str]:
        """Return those of `wanted` that were not uploaded yet."""
        with self._lock:
            return [sha1 for sha1 in wanted if sha1 not in self._received.chunks]

    def take(self) -> Received:
        """Return what arrived since the last call, and forget it."""
        with self._lock:
            taken, self._received = self._received, Received()
            return taken


def public_key(project_id: int) -> str:
    """Return the key of a project's DSN: 32 hex digits that say which project it is."""
    return f"{project_id:032x}"


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore a client that died with its connection open. The programs are meant to die."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    server_of_record: CaptureServer
    protocol_version = "HTTP/1.1"

    def do_OPTIONS(self) -> None:
        self._answer({})

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path.endswith("/chunk-upload/"):
            self._answer(
                {
                    "url": f"http://127.0.0.1:{self.server_of_record.port}/chunks/",
                    "chunkSize": CHUNK_BYTES,
                    "chunksPerRequest": 64,
                    "maxFileSize": CHUNK_BYTES,
                    "maxRequestSize": CHUNK_BYTES,
                    "concurrency": 1,
                    "hashAlgorithm": "sha1",
                    "compression": ["gzip"],
                    "accept": ["release_files", "artifact_bundles", "artifact_bundles_v2"],
                }
            )
        else:
            self._answer_page(path)

    def do_POST(self) -> None:
        body = self._body()
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        envelope = re.fullmatch(r"/api/(\d+)/envelope/?", path)
        if envelope:
            auth = self.headers.get("X-Sentry-Auth", "")
            key = query.get("sentry_key") or re.findall(r"sentry_key=(\w+)", auth) or [public_key(int(envelope[1]))]
            self.server_of_record.keep_envelope(body, f"http://{key[0]}@{self.headers['Host']}/{envelope[1]}")
            self._answer({"id": None})
        elif path.endswith("/assemble/"):
            missing = self.server_of_record.missing_chunks(json.loads(body)["chunks"])
            self._answer({"state": "not_found" if missing else "ok", "missingChunks": missing})
        elif path == "/chunks/":
            for part in _multipart(self.headers, body):
                content = part.get_payload(decode=True)
                if isinstance(content, bytes):
                    unpacked = (
                        gzip.decompress(content)
                        if part.get_param("name", header="content-disposition") == "file_gzip"
                        else content
                    )
                    self.server_of_record.keep_chunk(part.get_filename() or "", unpacked)
            self._answer({})
        else:
            self._answer({"detail": "not found"}, status=404)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        """Log no requests."""

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        encoding = self.headers.get("Content-Encoding", "")
        return gzip.decompress(body) if encoding == "gzip" else zlib.decompress(body) if encoding == "deflate" else body

    def _answer_page(self, path: str) -> None:
        file = (self.server_of_record.pages / path.lstrip("/")).resolve()
        if file.is_file() and file.is_relative_to(self.server_of_record.pages.resolve()):
            self._send(200, file.read_bytes(), CONTENT_TYPES.get(file.suffix, "application/octet-stream"))
        else:
            self._answer({"detail": "not found"}, status=404)

    def _answer(self, reply: dict[str, object], status: int = 200) -> None:
        self._send(status, json.dumps(reply).encode(), "application/json")

    def _send(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Access-Control-Allow-Headers", "*")
        self.end_headers()
        self.wfile.write(body)


def _multipart(headers: Message, body: bytes) -> list[Message]:
    message = BytesParser().parsebytes(b"Content-Type: " + headers["Content-Type"].encode() + b"\r\n\r\n" + body)
    parts = message.get_payload()
    return [part for part in parts if isinstance(part, Message)] if isinstance(parts, list) else []
