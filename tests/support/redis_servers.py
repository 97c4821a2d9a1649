"""Real Redis servers for tests: started on a private socket or a port, stopped by their process ids."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, cast

import redis

from pipeline.redis.embedded import find_redis_server, short_folder


class RedisServer:
    """One server. `options` are its settings, such as `appendonly="yes"`. It can be killed, paused and started again.

    It listens on a Unix socket, and on a port of 127.0.0.1 if one is given.
    """

    def __init__(self, *, port: int = 0, **options: str) -> None:
        self.folder = short_folder()
        self.socket = self.folder / "s"
        self.port = port
        self.url = f"unix://:{options.get('requirepass', '')}@{self.socket}"
        self._options = {"save": "", "appendonly": "no", "maxmemory-policy": "noeviction"} | {
            name.replace("_", "-"): value for name, value in options.items()
        }
        self.process: subprocess.Popen[bytes]
        self.start()

    def start(self) -> None:
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", str(self.socket), "--dir", str(self.folder)]
        for name, value in self._options.items():
            arguments += [f"--{name}", value]
        self.socket.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [find_redis_server(), *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        deadline = time.monotonic() + 60
        while not self._answers():
            assert self.process.poll() is None, "redis-server ended at once"
            assert time.monotonic() < deadline, "redis-server does not answer"
            time.sleep(0.01)

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, socket_timeout=5)

    def kill(self) -> None:
        """End it at once, as kill -9 does."""
        self.resume()
        self.process.kill()
        self.process.wait()

    def pause(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGCONT)

    def stop(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


class DurableRedis(RedisServer):
    """A server as a worker's should be: on a port of 127.0.0.1, and what it has acknowledged is on disk."""

    def __init__(self, password: str = "") -> None:
        super().__init__(port=_free_port(), appendonly="yes", appendfsync="always", requirepass=password)
        self.url = f"redis://:{password}@127.0.0.1:{self.port}/0" if password else f"redis://127.0.0.1:{self.port}/0"


@contextmanager
def redis_cluster(size: int = 3) -> Iterator[tuple[str, list[RedisServer]]]:
    """Start a real cluster of `size` primaries; yield its URL and its servers."""
    servers = [RedisServer(port=_free_port(), cluster_enabled="yes", cluster_node_timeout="2000") for _ in range(size)]
    try:
        slots = 16_384
        for at, server in enumerate(servers):
            with server.client() as client:
                first, last = at * slots // size, (at + 1) * slots // size - 1
                client.execute_command(
                    "CLUSTER", "ADDSLOTSRANGE" if _has_ranges(client) else "ADDSLOTS", *_slots(client, first, last)
                )
                for other in servers:
                    client.execute_command("CLUSTER", "MEET", "127.0.0.1", other.port)
        deadline = time.monotonic() + 60
        while not all(_is_whole(server, size) for server in servers):
            assert time.monotonic() < deadline, "the cluster does not come together"
            time.sleep(0.05)
        yield f"redis+cluster://127.0.0.1:{servers[0].port}", servers
    finally:
        for server in servers:
            server.stop()


def _has_ranges(client: redis.Redis) -> bool:
    return int(str(client.info("server")["redis_version"]).split(".")[0]) >= 7


def _slots(client: redis.Redis, first: int, last: int) -> list[int]:
    return [first, last] if _has_ranges(client) else list(range(first, last + 1))


def _is_whole(server: RedisServer, size: int) -> bool:
    with server.client() as client:
        info = client.execute_command("CLUSTER", "INFO")
    text = info if isinstance(info, dict) else dict(line.split(":") for line in info.decode().split())
    return text["cluster_state"] == "ok" and int(text["cluster_known_nodes"]) == size


def _free_port() -> int:
    """Return a free port whose cluster bus port (10,000 above) exists."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port < 55_000:
            return port


_EXPIRIES = """
local time, found = redis.call('TIME'), {}
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
  found[#found + 1] = key
  found[#found + 1] = math.floor(time[1] + (time[2] / 1000 + redis.call('PTTL', key)) / 1000 + 0.5)
end
return found
"""


def expiries(client: redis.Redis, pattern: str) -> dict[str, int]:
    """Return the keys that match, and when each expires (epoch seconds). Before version 7 Redis told only the time left."""
    found = cast("list[Any]", client.eval(_EXPIRIES, 0, pattern))
    return {found[at].decode(): found[at + 1] for at in range(0, len(found), 2)}
