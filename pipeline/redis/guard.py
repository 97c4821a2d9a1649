"""Run a Redis server for as long as the process that started this program lives; then stop it and remove its folder.

    python guard.py FOLDER SERVER ARGUMENT...

Standard input is a pipe from that process. It is closed when the process ends, however it ends, so kill -9 is noticed too.
The guard also ends when the server does. embedded.py runs this file by its path, so that only the standard library is loaded.
"""

from __future__ import annotations

import ctypes
import select
import shutil
import signal
import subprocess
import sys

LOOK_EVERY_S = 1.0
"""How often to check that the server is still running."""
PR_SET_PDEATHSIG = 1
"""The option of prctl(2) that names the signal a process gets when its parent dies. The server asks for SIGKILL."""


def main() -> None:
    """Start the server, wait until the pipe is closed or the server has ended, stop the server, and remove its folder."""
    folder, *command = sys.argv[1:]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

    def die_with_guard() -> None:
        if libc is not None:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    try:
        server = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            preexec_fn=die_with_guard,  # noqa: PLW1509 -- no threads here
            close_fds=False,  # the lock of a data folder, if there is one, is held by the server too
        )
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
