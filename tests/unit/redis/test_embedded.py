from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from pipeline.redis.embedded import EmbeddedRedis, NoRedisError

HOLDER = """
import sys, time
from pipeline.redis.embedded import EmbeddedRedis, NoRedisError
with EmbeddedRedis() as server:
    print(server.socket, flush=True)
    time.sleep(60)
"""


def ping(path: Path) -> bytes:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(b"PING\r\n")
        return client.recv(64)


def test_a_server_answers_and_leaves_no_trace() -> None:
    with EmbeddedRedis() as server:
        assert ping(server.socket) == b"+PONG\r\n"
    assert not server.socket.parent.exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_it_does_not_outlive_its_process_whatever_ends_that(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as holder:
        assert holder.stdout is not None
        path = Path(holder.stdout.readline().strip())
        assert ping(path) == b"+PONG\r\n"
        os.kill(holder.pid, number)
        holder.wait(10)
    deadline = time.monotonic() + 10
    while path.parent.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not path.parent.exists()
    with pytest.raises(OSError):  # noqa: PT011 -- refused or gone, both will do
        ping(path)


def test_a_server_that_cannot_be_started_is_named_and_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere"))
    with pytest.raises(NoRedisError, match="cannot be started: No such file"):
        EmbeddedRedis()
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_cannot_be_run_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "redis-server"
    broken.write_text("no program")
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("pipeline.redis.embedded.find_redis_server", lambda: str(broken))
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    with pytest.raises(NoRedisError):
        EmbeddedRedis()
    assert list(folder.iterdir()) == []
