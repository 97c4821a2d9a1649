"""A server with a folder keeps what it acknowledged, and a folder has one server."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import redis

from pipeline.redis.embedded import EmbeddedRedis

pytestmark = pytest.mark.redis


def ask(server: EmbeddedRedis, *command: str) -> Any:
    """Send one command on a connection of its own."""
    with redis.Redis(unix_socket_path=str(server.socket), decode_responses=True) as client:
        return client.execute_command(*command)


def pid_of(server: EmbeddedRedis) -> int:
    return int(ask(server, "INFO", "server")["process_id"])


def test_what_was_acknowledged_is_there_after_a_restart(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path / "redis") as server:
        assert ask(server, "SET", "a", "1")
    with EmbeddedRedis(tmp_path / "redis") as server:
        assert ask(server, "GET", "a") == "1"
        assert ask(server, "CONFIG", "GET", "appendfsync") == {"appendfsync": "always"}


def test_a_server_that_outlived_its_process_is_ended(tmp_path: Path) -> None:
    old = EmbeddedRedis(tmp_path / "redis")
    assert ask(old, "SET", "a", "1")
    old_pid = pid_of(old)
    lock, old._lock = old._lock, None
    assert lock is not None
    lock.close()  # as if the process that started it had died, and its guard had not noticed
    with EmbeddedRedis(tmp_path / "redis") as new:
        assert ask(new, "GET", "a") == "1"
        assert pid_of(new) != old_pid
    old.close()


def test_after_kill_9_of_server_nothing_is_lost(tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path / "redis")
    assert ask(server, "SET", "a", "1")
    os.kill(pid_of(server), signal.SIGKILL)
    server.close()
    with EmbeddedRedis(tmp_path / "redis") as again:
        assert ask(again, "GET", "a") == "1"
