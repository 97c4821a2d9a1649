"""The file operations that the spool uses. They are few, so that tests can run it on a model of a file system."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from pipeline.spool.errors import SpoolInUseError

IOV_MAX = 1_024
"""How many buffers one writev takes."""


class SpoolFiles(Protocol):
    """One folder of files. Names are plain, without a path. Every call may raise OSError."""

    def sizes(self) -> Mapping[str, int]:
        """Return every file's name with its size in bytes."""

    def create(self, name: str) -> int:
        """Create a file, which must not exist yet, and return a handle for appending. Its name is durable after `sync_folder`."""

    def append(self, handle: int, parts: Sequence[bytes]) -> None:
        """Append all parts to the file. They are durable after `sync`."""

    def sync(self, handle: int) -> None:
        """Make everything durable that was appended."""

    def close(self, handle: int) -> None:
        """Close a handle. This makes nothing durable."""

    def truncate(self, name: str, size: int) -> None:
        """Cut a file to `size` bytes, and make that durable."""

    def read(self, name: str, offset: int, size: int) -> bytes:
        """Return up to `size` bytes from `offset`; fewer at the end of the file."""

    def rename(self, name: str, new_name: str) -> None:
        """Rename a file, and replace an existing one of the new name. Durable after `sync_folder`."""

    def remove(self, name: str) -> None:
        """Remove a file if it exists. Durable after `sync_folder`."""

    def sync_folder(self) -> None:
        """Make the names of files durable."""


class DiskFiles:
    """A folder on disk, locked against other processes for as long as this one lives.

    Creates the folder if there is none. Raises SpoolInUseError, or OSError if it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = str(folder)
        for path in (folder.parent, folder):
            _sync_path(str(path))
        self._lock = os.open(f"{self._folder}/.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise SpoolInUseError(f"{folder} is used by another process") from None

    def unlock(self) -> None:
        """Let another process use the folder."""
        os.close(self._lock)

    def sizes(self) -> dict[str, int]:  # noqa: D102 -- as in SpoolFiles, like those below
        with os.scandir(self._folder) as entries:
            return {entry.name: entry.stat().st_size for entry in entries if not entry.name.startswith(".")}

    def create(self, name: str) -> int:  # noqa: D102
        return os.open(self._path(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def append(self, handle: int, parts: Sequence[bytes]) -> None:  # noqa: D102
        for first in range(0, len(parts), IOV_MAX):
            some = parts[first : first + IOV_MAX]
            written = os.writev(handle, some)
            if written < sum(map(len, some)):
                _write_all(handle, memoryview(b"".join(some))[written:])

    def sync(self, handle: int) -> None:  # noqa: D102
        os.fdatasync(handle)

    def close(self, handle: int) -> None:  # noqa: D102
        os.close(handle)

    def truncate(self, name: str, size: int) -> None:  # noqa: D102
        handle = os.open(self._path(name), os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.ftruncate(handle, size)
            os.fsync(handle)
        finally:
            os.close(handle)

    def read(self, name: str, offset: int, size: int) -> bytes:  # noqa: D102
        handle = os.open(self._path(name), os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(handle, size, offset)
        finally:
            os.close(handle)

    def rename(self, name: str, new_name: str) -> None:  # noqa: D102
        os.rename(self._path(name), self._path(new_name))  # noqa: PTH104 -- os.open beside it takes no Path either

    def remove(self, name: str) -> None:  # noqa: D102
        Path(self._path(name)).unlink(missing_ok=True)

    def sync_folder(self) -> None:  # noqa: D102
        _sync_path(self._folder)

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}"


def write_whole(files: SpoolFiles, name: str, content: bytes) -> None:
    """Replace the content of a small file. After a power loss it holds either the old content or the new one."""
    temporary = f"{name}.new"
    files.remove(temporary)
    handle = files.create(temporary)
    try:
        files.append(handle, [content])
        files.sync(handle)
    finally:
        files.close(handle)
    files.rename(temporary, name)
    files.sync_folder()


def _sync_path(path: str) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_all(handle: int, data: memoryview) -> None:
    while data:
        data = data[os.write(handle, data) :]
