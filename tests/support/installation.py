"""An installation as an operator has it: topics, a Redis, rules, a settings file, and `pipeline` commands on them."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
from support.kafka_broker import Broker, fresh_settings, produce, read_all
from support.redis_servers import DurableRedis

from pipeline.runtimes.generated_events import generate_events, ingest_message

ROOT = Path(__file__).parents[2]


class Installation:
    """A broker's topics, a Redis, a rules folder and a settings file; runs `pipeline` commands on them."""

    def __init__(self, broker: Broker, folder: Path, redis_password: str = "") -> None:
        self.broker = broker
        self.settings = fresh_settings(broker, partitions=2)
        self.redis = DurableRedis(redis_password)
        self.folder = folder
        self.rules = folder / "rules"
        (self.rules / "default").mkdir(parents=True)
        (self.rules / "default" / "grouping.toml").write_text('enhancement_base = "none"\nbuiltin_fingerprints = false\n')
        self.port = free_port()
        self.write_settings()
        self.processes: list[subprocess.Popen[bytes]] = []

    def write_settings(self, *more: str) -> None:
        kafka = self.settings.kafka
        names = {"brokers": kafka.brokers, "consumer_group": kafka.consumer_group, "events_in": kafka.events_in}
        names |= {"events_out": kafka.events_out, "outcomes": kafka.outcomes, "dead_letters": kafka.dead_letters}
        lines = [f'rules = "{self.rules}"', "[kafka]", "session_timeout_s = 6.0", *(f'{k} = "{v}"' for k, v in names.items())]
        lines += ["[redis]", f'url = "{self.redis.url}"', "[web]", f"port = {self.port}", 'host = "127.0.0.1"', *more]
        (self.folder / "settings.toml").write_text("\n".join(lines) + "\n")

    def pipeline(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pipeline", *arguments, "--settings", str(self.folder / "settings.toml")]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
        assert done.returncode == 0 or not check, f"pipeline {' '.join(arguments)}: exit code {done.returncode}\n{done.stderr}"
        return done

    def worker(self, code: Path = ROOT) -> subprocess.Popen[bytes]:
        """Start a worker with the settings as they are now, and wait until it is ready. `code` holds the package to run."""
        process = self.start_worker(code)
        until(lambda: self.ready().get("ready") is True, what=self.log)
        return process

    def start_worker(self, code: Path = ROOT) -> subprocess.Popen[bytes]:
        """Start a worker without waiting."""
        command = [sys.executable, "-m", "pipeline", "worker", "--settings", str(self.folder / "settings.toml")]
        with (self.folder / "worker.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=code)
        self.processes.append(process)
        return process

    def log(self) -> str:
        return (self.folder / "worker.log").read_text()

    def get(self, path: str) -> bytes:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            return bytes(error.read())
        except OSError:
            return b"{}"

    def status(self, path: str) -> int:
        """Return the status of an answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def ready(self) -> dict[str, Any]:
        return dict(json.loads(self.get("/ready")))

    def feed(self, number: int, project_id: int = 1, seed: int = 1) -> None:
        events = generate_events(seed, frames=3)
        produce(self.broker, self.settings.kafka.events_in, [ingest_message(next(events), project_id)[1] for _ in range(number)])

    def stored(self) -> list[dict[str, Any]]:
        return [orjson.loads(message.value() or b"")[2] for message in read_all(self.broker, self.settings.kafka.events_out)]

    def counted(self) -> int:
        """Return what the live counts have of project 1."""
        minutes = json.loads(self.get("/counts?minutes=5"))["minutes"]
        return sum(count["quantity"] for minute in minutes for count in minute["counts"] if count["project_id"] == 1)

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        self.redis.stop()


def until(condition: Callable[[], bool], within_s: float = 60, what: Callable[[], str] = lambda: "") -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s {what()}"
        time.sleep(0.2)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
