"""A lock beside a chdb folder that names the process that owns it. chdb itself only reports that it cannot start."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path
from typing import BinaryIO

from pipeline.model.errors import SettingsError

_held: dict[str, BinaryIO] = {}
"""Open lock files by the real path of their folder. They are locked for as long as this process lives."""


class PathInUseError(SettingsError):
    """Another process has opened the chdb folder. The message says which one."""


def own_folder(path: str) -> None:
    """Lock a chdb folder for this process. Raises PathInUseError, or OSError if the lock file cannot be created.

    The lock ends with the process, also after a kill -9.
    """
    folder = Path(os.path.realpath(path))
    if str(folder) in _held:
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    file = folder.with_name(f"{folder.name}.lock").open("ab+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        owner = file.read(200).decode("utf-8", "replace").strip()
        file.close()
        raise PathInUseError(f"{path} is used by another process: {owner or 'it has not said which'}") from None
    file.truncate(0)
    file.write(f"{os.getpid()} ({' '.join([Path(sys.argv[0]).name, *sys.argv[1:2]])})\n".encode())
    file.flush()
    _held[str(folder)] = file
