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

from pipeline.redis.client import connect
from pipeline.redis.embedded import LONGEST_SOCKET_PATH, EmbeddedRedis, NoRedisError, find_redis_server

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
        assert len(os.fsencode(server.socket)) <= LONGEST_SOCKET_PATH
    assert not server.socket.parent.exists()


@pytest.mark.parametrize("name", ["d" * 90, "ein Ordner für alles, 100 %?#", "ü" * 45])
def test_any_temporary_folder_serves(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one whose path is longer than a socket's address may be, and one that a URL has to quote."""
    short = Path(tempfile.mkdtemp(dir="/tmp", prefix="t"))
    folder = short / name
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    with EmbeddedRedis() as server:
        client = connect(server.url, 5)
        assert client.ping()
        client.close()
        is_used = server.socket.is_relative_to(folder)
    assert is_used == (len(os.fsencode(folder)) < 70)
    assert not server.socket.parent.exists()
    folder.rmdir()
    short.rmdir()


def test_no_short_folder_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.redis.embedded.LONGEST_SOCKET_PATH", 10)
    with pytest.raises(NoRedisError, match=r"no folder for the socket .* Set TMPDIR"):
        EmbeddedRedis()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_it_does_not_outlive_its_process_whatever_ends_that(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as holder:
        assert holder.stdout is not None
        path = Path(holder.stdout.readline().strip())
        assert ping(path) == b"+PONG\r\n"
        os.kill(holder.pid, number)
        holder.wait(60)
    deadline = time.monotonic() + 60
    while path.parent.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not path.parent.exists()
    with pytest.raises(OSError):  # noqa: PT011 -- refused or gone, both will do
        ping(path)


def test_it_runs_in_a_session_of_its_own() -> None:
    with EmbeddedRedis() as server, connect(server.url, 5) as client:
        assert os.getsid(int(client.info("server")["process_id"])) != os.getsid(0)  # type: ignore[index,unused-ignore]


def test_a_guard_that_is_killed_takes_the_server_along() -> None:
    server = EmbeddedRedis()
    server.check()
    with connect(server.url, 5) as client:
        process = client.info("server")["process_id"]  # type: ignore[index,unused-ignore]
    guard = subprocess.run(["ps", "-o", "ppid=", "-p", str(process)], capture_output=True, text=True, check=True).stdout
    os.kill(int(guard), signal.SIGKILL)
    deadline = time.monotonic() + 60
    with pytest.raises(NoRedisError, match="has died"):  # noqa: PT012 -- the guard takes a moment to end
        while time.monotonic() < deadline:
            server.check()
            time.sleep(0.01)
    server.close()
    assert not server.socket.parent.exists()


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


@pytest.mark.parametrize("name", ["redis-server", "valkey-server"])
def test_where_the_wheel_is_missing_a_server_on_the_path_is_found(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoRedisError, match="install redis-server or valkey-server"):
        find_redis_server()
    (tmp_path / name).touch(0o755)
    assert find_redis_server() == str(tmp_path / name)


def test_the_module_becomes_the_server() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "pipeline.redis.embedded", "--version"], capture_output=True, text=True, check=True
    )
    assert "server v=" in run.stdout
