"""A real gateway as its own process, and what is asked of it over HTTP."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from support.web_views import WebViews

from pipeline.settings.schema import Settings

ROOT = Path(__file__).parents[2]
KEY = "a" * 32


class GatewayProcess(WebViews):
    """One gateway with its own ports, spool, rules and settings file. `kill` is kill -9; `start` begins another life."""

    def __init__(self, folder: Path, settings: Settings, *more: str) -> None:
        self.folder = folder
        self.port, self.web_port = _free_port(), _free_port()
        kafka = settings.kafka
        names = {"brokers": kafka.brokers, "consumer_group": kafka.consumer_group, "events_in": kafka.events_in}
        names |= {"events_out": kafka.events_out, "outcomes": kafka.outcomes, "dead_letters": kafka.dead_letters}
        lines = ["[kafka]", *(f'{name} = "{value}"' for name, value in names.items())]
        lines += ["[web]", 'host = "127.0.0.1"', f"port = {self.web_port}", "[gateway]", f'listen = "127.0.0.1:{self.port}"']
        lines += [f'spool = "{folder / "spool"}"', *more]
        (folder / "settings.toml").write_text("\n".join(lines) + "\n")
        self.rules = folder / "rules"
        (self.rules / "default").mkdir(parents=True, exist_ok=True)
        (self.rules / "default" / "grouping.toml").write_text('enhancement_base = "none"\nbuiltin_fingerprints = false\n')
        (self.rules / "projects" / "42").mkdir(parents=True, exist_ok=True)
        (self.rules / "projects" / "42" / "project.toml").write_text(f'[[keys]]\nid = 5\npublic_key = "{KEY}"\n')
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        command = [sys.executable, "-m", "pipeline", "gateway", "--settings", str(self.folder / "settings.toml")]
        with (self.folder / "gateway.log").open("ab") as log:
            self.process = subprocess.Popen([*command, "--rules", str(self.rules)], stdout=log, stderr=log, cwd=ROOT)
        deadline = time.monotonic() + 30
        while not (self.page("/ready")[0] == 200 and self._listens()):
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def dsn(self) -> str:
        return f"http://{KEY}@127.0.0.1:{self.port}/42"

    def log(self) -> str:
        return (self.folder / "gateway.log").read_text()

    def send(self, path: str, body: bytes, method: str = "POST", **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Send one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def envelope(self, *items: tuple[dict[str, Any], bytes], **header: Any) -> tuple[int, dict[str, str], bytes]:
        lines = [json.dumps(header).encode()]
        for item, payload in items:
            lines += [json.dumps({**item, "length": len(payload)}).encode(), payload]
        return self.send(f"/api/42/envelope/?sentry_key={KEY}", b"\n".join(lines))

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; return the exit code. Fails where it takes more than ten seconds."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGTERM)
        return self.process.wait(10)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
