"""As much of S3 as the artifact store needs, on loopback: get with ranges, head, put, delete, list. Nothing is signed."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import md5
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

ADDED = "2026-01-01T00:00:00.000Z"


class _S3(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    @property
    def _key(self) -> str:
        return unquote(urlsplit(self.path).path).removeprefix("/bucket").removeprefix("/")

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.objects[self._key] = content
        self._answer(200, b"", ETag=_etag(content))

    def do_DELETE(self) -> None:
        self.server.objects.pop(self._key, None)
        self._answer(204, b"")

    def do_POST(self) -> None:
        """Delete several at once."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        keys = [part.split("</Key>")[0] for part in body.split("<Key>")[1:]]
        for key in keys:
            self.server.objects.pop(unquote(key), None)
        deleted = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys)
        self._answer(200, f"<DeleteResult>{deleted}</DeleteResult>".encode())

    def do_GET(self) -> None:
        if not self._key:
            self._answer(200, self._listing(parse_qs(urlsplit(self.path).query)))
            return
        content = self.server.objects.get(self._key)
        if content is None:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            return
        described = {"ETag": _etag(content), "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
        wanted = self.headers.get("Range")
        if wanted is None:
            self._answer(200, content, **described)
            return
        first, last = (int(number) for number in wanted.removeprefix("bytes=").split("-"))
        part = content[first : last + 1]
        self._answer(206, part, **described, **{"Content-Range": f"bytes {first}-{first + len(part) - 1}/{len(content)}"})

    def do_HEAD(self) -> None:
        content = self.server.objects.get(self._key)
        self.send_response(200 if content is not None else 404)
        if content is not None:
            described = {"ETag": _etag(content), "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
            for name, value in {**described, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
        self.end_headers()

    def _listing(self, query: dict[str, list[str]]) -> bytes:
        prefix = query.get("prefix", [""])[0]
        keys = sorted(key for key in self.server.objects if key.startswith(prefix))
        if "delimiter" in query:
            below = [key.removeprefix(prefix) for key in keys]
            folders = sorted({f"{prefix}{key.split('/')[0]}/" for key in below if "/" in key})
            inner = "".join(f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>" for folder in folders)
        else:
            inner = "".join(
                f"<Contents><Key>{escape(key)}</Key><LastModified>{ADDED}</LastModified>"
                f"<ETag>{escape(_etag(self.server.objects[key]))}</ETag><Size>{len(self.server.objects[key])}</Size></Contents>"
                for key in keys
            )
        return f"<ListBucketResult><IsTruncated>false</IsTruncated>{inner}</ListBucketResult>".encode()

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class _Server(http.server.ThreadingHTTPServer):
    objects: dict[str, bytes]
    daemon_threads = True


def _etag(content: bytes) -> str:
    return f'"{md5(content, usedforsecurity=False).hexdigest()}"'


@contextmanager
def fake_s3() -> Iterator[str]:
    """Serve a bucket and return its endpoint."""
    with _Server(("127.0.0.1", 0), _S3) as server:
        server.objects = {}
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
