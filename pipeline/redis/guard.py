"""Run a redis-server for as long as the process at the other end of a pipe lives, then remove all traces of it.

    python redis_guard.py FOLDER REDIS_SERVER ARGUMENT...

Standard input is the pipe: it ends when the parent does, also by kill -9.
A server that dies ends the guard as well.
Run by path, so that only the standard library is loaded.
"""

from __future__ import annotations

import ctypes
import select
import shutil
import signal
import subprocess
import sys

LOOK_EVERY_S = 1.0
"""How often to look whether the server still runs."""
PR_SET_PDEATHSIG = 1
"""From linux/prctl.h: the signal a process gets when its parent dies; here for the death of this guard."""


def main() -> None:
    """Start the server, wait for the parent's end, stop the server, remove its folder."""
    folder, *command = sys.argv[1:]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

    def die_with_guard() -> None:
        if libc is not None:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    try:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, preexec_fn=die_with_guard)  # noqa: PLW1509 -- no threads here
        try:
            while server.poll() is None and not select.select([sys.stdin], [], [], LOOK_EVERY_S)[0]:
                pass
        finally:
            server.kill()
            server.wait()
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)  # noqa: T201 -- the parent says the rest
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
