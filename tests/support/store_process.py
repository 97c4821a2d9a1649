"""A real store as its own process, messages for it, and what is in its database once it has ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
from support.installation import free_port
from support.web_views import WebViews

from pipeline.settings.schema import Settings

ROOT = Path(__file__).parents[2]

_READ = """
import json, sys
from pipeline.clickhouse.client import Client
client = Client(sys.argv[1])
print(json.dumps([[list(row) for row in client.query(sql).rows] for sql in json.load(sys.stdin)], default=str))
"""


def read_chdb(folder: Path, *queries: str) -> list[list[list[Any]]]:
    """Return the rows of each query, from a process of its own: an engine has one folder for as long as its process lives."""
    done = subprocess.run(
        [sys.executable, "-c", _READ, f"chdb://{folder}"],
        input=json.dumps(queries),
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    rows: list[list[list[Any]]] = json.loads(done.stdout)
    return rows


def storage_message(number: int, *, project_id: int = 7, groups: int = 20, now: float | None = None) -> bytes:
    """Return one of many messages that differ by `number`."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime((now or time.time()) - number % 7_000))
    event = {
        "event_id": f"{number:032x}",
        "group_id": 1_000 + number % groups,
        "project_id": project_id,
        "primary_hash": f"{number % groups:032x}",
        "platform": "python",
        "message": f"ValueError: number {number}",
        "datetime": moment,
        "retention_days": 30,
        "data": {
            "type": "error",
            "title": f"ValueError: number {number}",
            "received": now or time.time(),
            "tags": [["level", "error"], ["environment", f"env-{number % 3}"], ["sentry:user", f"id:{number % 50}"]],
        },
    }
    return orjson.dumps([2, "insert", event, {}])


def outcome_message(number: int) -> bytes:
    """Return one of many outcomes."""
    return orjson.dumps(
        {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(time.time() - number % 7_000)),
            "org_id": 1,
            "project_id": number % 5,
            "outcome": number % 4,
            "quantity": 1 + number % 3,
        }
    )


class StoreProcess(WebViews):
    """One store with its own port and settings file. `kill` is kill -9; `start` begins another life."""

    def __init__(self, folder: Path, settings: Settings, *more: str) -> None:
        self.folder = folder
        self.chdb = folder / "chdb"
        self.web_port = free_port()
        kafka = settings.kafka
        names = (
            "brokers",
            "events_in",
            "events_out",
            "outcomes",
            "dead_letters",
            "events_out_dead_letters",
            "outcomes_dead_letters",
        )
        lines = ["[kafka]", *(f'{name} = "{getattr(kafka, name)}"' for name in names)]
        lines += [f"session_timeout_s = {kafka.session_timeout_s}", "transaction_timeout_s = 5.0", 'slot = "only"']
        lines += ["[store]", f'consumer_group = "{kafka.consumer_group}-store"', "max_wait_ms = 200"]
        lines += ["[web]", f"port = {self.web_port}", "[clickhouse]", f'url = "chdb://{self.chdb}"', *more]
        (folder / "settings.toml").write_text("\n".join(lines) + "\n")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, is_ready: bool = True) -> None:
        """Start it, and wait until it is ready."""
        command = [sys.executable, "-m", "pipeline", "store", "--settings", str(self.folder / "settings.toml")]
        with (self.folder / "store.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT)
        deadline = time.monotonic() + 60
        while is_ready and self.page("/ready")[0] != 200:
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the store with its settings, such as `check`."""
        command = [sys.executable, "-m", "pipeline", "store", "--settings", str(self.folder / "settings.toml"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=120)

    def log(self) -> str:
        return (self.folder / "store.log").read_text()

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

    def wait_for_lag(self, topics: Sequence[str], within_s: float = 60.0) -> None:
        """Wait until nothing is left to store, as the store's own metrics say, twice in a row."""
        deadline = time.monotonic() + within_s
        calm = 0
        while calm < 3:
            assert time.monotonic() < deadline, self.log()[-3_000:]
            text = self.page("/metrics")[1]
            seen = all(f'pipeline_store_lag_records{{partition="0",topic="{topic}"}}' in text for topic in topics)
            calm = calm + 1 if seen and self.metric("pipeline_store_lag_records") == 0 else 0
            time.sleep(1.1)
