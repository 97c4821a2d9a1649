"""A real `pipeline api` over a chdb folder with known events, and what is asked of it over HTTP."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

_SAFE = "/?&=%:@!*(),+"
ROOT = Path(__file__).parents[2]
KEY = "a" * 32
HOSTILE = "evil\x00 \u202egnp.exe \x1b[2J"
FRAMES = [
    {"filename": "runtime.py", "function": "run", "module": "runtime", "lineno": 7, "in_app": False},
    {
        "filename": "shop/payment.py",
        "abs_path": "/srv/shop/payment.py",
        "function": "charge",
        "module": "shop.payment",
        "lineno": 42,
        "pre_context": ["def charge(card):", "    # money"],
        "context_line": "    raise PaymentError(card)",
        "post_context": ["", "def refund():"],
        "in_app": True,
        "vars": {"card": "visa"},
    },
]


def payment_error(number: int) -> dict[str, Any]:
    """Return one of the events of the largest group: ten events of five users."""
    return {
        "platform": "python",
        "level": "error",
        "release": f"shop@1.{number % 2}",
        "environment": "production" if number % 2 else "staging",
        "transaction": "/pay",
        "user": {"id": str(number % 5), "email": f"user{number % 5}@example.org"},
        "tags": {"color": "red" if number < 3 else "blue"},
        "exception": {
            "values": [
                {
                    "type": "PaymentError",
                    "value": "card was refused",
                    "mechanism": {"type": "generic", "handled": False},
                    "stacktrace": {"frames": FRAMES},
                }
            ]
        },
        "breadcrumbs": {"values": [{"category": "cart", "message": "opened", "timestamp": 1_790_000_000}]},
        "request": {"url": "https://shop.example.org/pay", "method": "POST", "headers": [["User-Agent", FIREFOX]]},
        "contexts": {"trace": {"trace_id": f"{number:032x}"[:-1] + "f", "span_id": "00000000deadbeef", "type": "trace"}},
    }


FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def known_events() -> list[dict[str, Any]]:
    """Return ten events of a group, three of another, a hostile one, and one of another project."""
    events = [payment_error(number) for number in range(10)]
    events += [{"platform": "node", "level": "warning", "logentry": {"message": "disk is nearly full"}} for _ in range(3)]
    events.append({"platform": "python", "message": HOSTILE, "tags": {"odd": HOSTILE}})
    return events


class ApiProcess:
    """One API with its own ports, rules and store."""

    def __init__(self, folder: Path, *more: str) -> None:
        self.folder = folder
        self.now = datetime.now(UTC)
        self.port, self.web_port = _free_port(), _free_port()
        self.rules = folder / "rules"
        (self.rules / "default").mkdir(parents=True, exist_ok=True)
        for number, slug in ((42, "shop"), (43, "idle")):
            project = self.rules / "projects" / str(number)
            project.mkdir(parents=True, exist_ok=True)
            text = f'slug = "{slug}"\norganization_slug = "acme"\n[[keys]]\nid = 5\npublic_key = "{KEY}"\n'
            (project / "project.toml").write_text(text)
        lines = ["[web]", 'host = "127.0.0.1"', f"port = {self.web_port}", "[api]", f'listen = "127.0.0.1:{self.port}"', *more]
        (folder / "settings.toml").write_text("\n".join(lines) + "\n")
        self.ids = [f"{number:032x}" for number in range(1, 20)]
        self.process: subprocess.Popen[bytes] | None = None

    def fill(self) -> None:
        """Take the known events through all stages and store what comes out. The newest is the last of its group."""
        messages = []
        for number, event in enumerate(known_events()):
            at = (self.now - timedelta(minutes=60 - number)).timestamp()
            project_id = 44 if number == 12 else 42
            payload = event | {"event_id": self.ids[number], "timestamp": at}
            message = {"type": "event", "project_id": project_id, "event_id": self.ids[number], "start_time": int(at)}
            messages.append(json.dumps(message | {"payload": payload, "remote_addr": "127.0.0.1"}))
        (self.folder / "events.jsonl").write_text("\n".join(messages) + "\n")
        output = self.folder / "out"
        replay = ["-m", "pipeline", "replay", str(self.folder / "events.jsonl"), "--out", str(output), "--rules", str(self.rules)]
        for command in (replay, [str(Path(__file__).parent / "fill_store.py"), str(output), str(self.folder / "chdb")]):
            done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
            assert done.returncode == 0, done.stdout + done.stderr

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        settings = ["--settings", str(self.folder / "settings.toml"), "--rules", str(self.rules)]
        command = [sys.executable, "-m", "pipeline", "api", *settings, "--clickhouse", f"chdb://{self.folder / 'chdb'}"]
        with (self.folder / "api.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT)
        deadline = time.monotonic() + 60
        while not (self.page("/ready")[0] == 200 and self._listens()):
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.1)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def log(self) -> str:
        return (self.folder / "api.log").read_text()

    def page(self, path: str) -> tuple[int, str]:
        """Return status and text of a page for supervisors."""
        status, _, text = self._fetch(f"http://127.0.0.1:{self.web_port}{path}", None, "GET", {})
        return status, text.decode()

    def get(self, path: str, **headers: str) -> Any:
        """Return the JSON of a path under /api/0/. Anything but 200 fails."""
        status, _, body = self.ask(path, **headers)
        assert status == 200, (path, status, body)
        return body

    def ask(self, path: str, sent: Any = None, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], Any]:
        """Return status, headers and JSON of a path under /api/0/."""
        data = None if sent is None else json.dumps(sent).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        status, answered, text = self._fetch(f"{self.url}/api/0/{quote(path, _SAFE)}", data, method, named)
        return status, answered, json.loads(text) if text else None

    def stop(self) -> int:
        """End it with SIGTERM, and return its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)

    @staticmethod
    def _fetch(url: str, data: bytes | None, method: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        try:
            request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 -- of this machine
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 -- of this machine
                return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, {name.lower(): value for name, value in error.headers.items()}, error.read()
        except OSError:
            return 0, {}, b""

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
