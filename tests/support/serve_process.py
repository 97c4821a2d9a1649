"""A real `pipeline serve` as its own process group, and what is asked of it over HTTP."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from support.installation import free_port
from support.web_views import WebViews

ROOT = Path(__file__).parents[2]
KEY = "a" * 32


class ServeProcess(WebViews):
    """One `pipeline serve` with its own ports, folder and rules. `kill` is kill -9 of the group; `start` begins another life."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.port, self.web_port = free_port(), free_port()
        self.rules = folder / "rules"
        (self.rules / "default").mkdir(parents=True, exist_ok=True)
        (self.rules / "default" / "grouping.toml").write_text('enhancement_base = "none"\nbuiltin_fingerprints = false\n')
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, is_ready: bool = True) -> None:
        """Start it, and wait until it is ready."""
        command = [sys.executable, "-m", "pipeline", "serve", "--data", str(self.data), "--rules", str(self.rules)]
        command += ["--listen", f"127.0.0.1:{self.port}", "--web-port", str(self.web_port)]
        with (self.folder / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT, start_new_session=True)
        deadline = time.monotonic() + 60
        while is_ready and self.page("/ready")[0] != 200:
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)

    def log(self) -> str:
        return (self.folder / "serve.log").read_text()

    def send(self, event: dict[str, Any], project: int = 1) -> int:
        """Send one event; return the status, 0 if nobody answered."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("POST", f"/api/{project}/store/?sentry_key={KEY}", json.dumps(event))
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    def ask(self, path: str, sent: Any = None, method: str = "GET") -> Any:
        """Return the JSON of a path under /api/0/; None for anything but 200."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, f"/api/0/{path}", None if sent is None else json.dumps(sent))
            answer = connection.getresponse()
            text = answer.read()
            return json.loads(text) if answer.status == 200 else None
        finally:
            connection.close()

    def issues(self) -> list[dict[str, Any]]:
        """Return the issues of all projects."""
        return list(self.ask("organizations/org1/issues/") or ())

    def wait_until_stored(self, within_s: float = 60.0) -> None:
        """Wait until everything that was accepted is stored: the spool has nothing that waits, three times in a row."""
        deadline = time.monotonic() + within_s
        calm = 0
        while calm < 3:
            assert time.monotonic() < deadline, self.log()[-3_000:]
            calm = calm + 1 if self.metric("pipeline_gateway_spool_age_seconds") == 0 else 0
            time.sleep(1.1)

    def kill(self) -> None:
        """Kill -9 the whole process group."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; return the exit code. Fails where it takes more than ten seconds."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGTERM)
        return self.process.wait(10)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()
