"""The scraper's own connection, against a TLS server: it goes where was checked, and asks for the host's certificate."""

from __future__ import annotations

import http.server
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.sourcemaps.http_scraper import HttpScraper, connect_to

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make a certificate: install it")


class _Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"code")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """Serve https for cdn.test on loopback; give the port and the certificate."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = "-subj /CN=cdn.test -addext subjectAltName=DNS:cdn.test"
    command = f"openssl req -x509 -newkey rsa:2048 -nodes -days 1 -keyout {key} -out {certificate} {subject}"
    subprocess.run(command.split(), check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with http.server.HTTPServer(("127.0.0.1", 0), _Page) as listening:
        listening.socket = context.wrap_socket(listening.socket, server_side=True)
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        yield listening.server_port, certificate
        listening.shutdown()
        thread.join()


def fetch(host: str, port: int) -> bytes:
    connection = connect_to(host, "127.0.0.1", port, 5.0)
    try:
        connection.request("GET", "/app.js")
        return connection.getresponse().data
    finally:
        connection.close()


def test_it_connects_to_the_checked_address_and_asks_for_the_hosts_certificate(
    server: tuple[int, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, certificate = server
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert fetch("cdn.test", port) == b"code", "no name server knows cdn.test"
    with pytest.raises(ssl.SSLCertVerificationError):
        fetch("other.test", port)
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(ssl.SSLCertVerificationError):
        fetch("cdn.test", port)


def test_loopback_is_never_asked(server: tuple[int, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    port, certificate = server
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    scraper = HttpScraper(["cdn.test", "localhost", "127.0.0.1"], resolve=lambda *_: ["127.0.0.1"])
    for host in ("cdn.test", "localhost", "127.0.0.1"):
        assert scraper.fetch(f"https://{host}:{port}/app.js").reason == "disallowed"
