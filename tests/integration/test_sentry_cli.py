"""The real sentry-cli of both generations against a gateway. They are installed by npm, once, into a cache."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.gateway_process import GatewayProcess
from support.programs import npm_packages

from pipeline.settings.schema import KafkaSettings, Settings
from pipeline.sourcemaps.bundle import read_bundle
from pipeline.sourcemaps.stores.folder_store import FolderStore


@pytest.fixture(params=["3.8.0", "2.58.6"])
def sentry_cli(request: pytest.FixtureRequest) -> Path:
    return npm_packages(f"sentry-cli-{request.param}", f"@sentry/cli@{request.param}") / "node_modules" / ".bin" / "sentry-cli"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayProcess]:
    more = ("[artifacts]", f'url = "{tmp_path / "artifacts"}"')
    gateway = GatewayProcess(tmp_path, Settings(kafka=KafkaSettings(brokers="127.0.0.1:1")), *more)
    gateway.start()
    yield gateway
    gateway.close()


@pytest.fixture
def build(tmp_path: Path) -> Path:
    folder = tmp_path / "dist"
    folder.mkdir()
    (folder / "app.min.js").write_text('function f(){throw new Error("x")}f();\n//# sourceMappingURL=app.min.js.map\n')
    source_map = '{"version":3,"sources":["app.js"],"names":[],"mappings":"AAAA","sourcesContent":["function f(){}"]}'
    (folder / "app.min.js.map").write_text(source_map)
    return folder


def test_what_sentry_cli_does(sentry_cli: Path, gateway: GatewayProcess, build: Path, tmp_path: Path) -> None:
    server = {"SENTRY_URL": f"http://127.0.0.1:{gateway.port}", "SENTRY_AUTH_TOKEN": "x", "SENTRY_DSN": gateway.dsn}
    environment = {**os.environ, **server, "SENTRY_ORG": "acme", "SENTRY_PROJECT": "42"}

    def run(*arguments: str, code: int = 0) -> str:
        done = subprocess.run([sentry_cli, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == code, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    run("info")
    run("releases", "new", "shop@1")
    run("releases", "finalize", "shop@1")
    assert "shop@1" in run("releases", "list")
    run("releases", "set-commits", "shop@1", "--commit", "acme/shop@abcdef1234567")
    run("sourcemaps", "inject", str(build))
    for more in (("--release", "shop@1", "--dist", "1", "--wait"), ("--release", "shop@1", "--dist", "1"), ()):
        run("sourcemaps", "upload", *more, str(build))
    store = FolderStore(tmp_path / "artifacts")
    found = []
    for stored in store.bundles(42):
        with store.open(42, stored) as file:
            bundle = read_bundle(stored, file)
        found.append((bundle.release, bundle.dist, sorted(url for entry in bundle.files if (url := entry.url))))
    files = ["~/app.min.js", "~/app.min.js.map"]
    assert sorted(found, key=str) == sorted([("shop@1", "1", files), (None, None, files)], key=str)
    (tmp_path / "lib.so").write_bytes(Path(shutil.which("true") or "/bin/true").read_bytes())
    assert "only source maps" in run("debug-files", "upload", str(tmp_path / "lib.so"), code=1)
    run("send-event", "-m", "hello")
    assert gateway.metric("pipeline_gateway_accepted_total") == 1
    run("releases", "delete", "shop@1")


def test_a_wrong_token_is_refused(tmp_path: Path) -> None:
    more = ("[artifacts]", f'url = "{tmp_path / "artifacts"}"', "[api]", 'tokens = ["secret"]')
    gateway = GatewayProcess(tmp_path, Settings(kafka=KafkaSettings(brokers="127.0.0.1:1")), *more)
    gateway.start()
    try:
        assert gateway.send("/api/0/", b"", "GET")[0] == 401
        assert gateway.send("/api/0/", b"", "GET", authorization="Bearer wrong")[0] == 401
        status, headers, _ = gateway.send("/api/0/", b"", "GET", authorization="Bearer secret")
        assert (status, headers["content-type"]) == (200, "application/json")
        assert "access-control-allow-origin" not in headers
    finally:
        gateway.close()
