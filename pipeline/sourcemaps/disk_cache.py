"""A cache of files on the local disk, bounded in bytes and shared by the processes of a machine.

`objects/<sha256 of the content>` holds a content, and `names/<sha256 of a name>` holds the digest of a name's content. Files are
written under another name and renamed, so that no process sees a partial file. A content is checked against its digest when read.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

_CHECK_EVERY_BYTES = 16_000_000
"""How much is written between two measurements of the whole cache."""


class DiskCache:
    """Keeps contents by name.

    The least recently used are dropped first. If the disk fails, the content is not kept, without an error.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._objects = folder / "objects"
        self._names = folder / "names"
        self._max_bytes = max_bytes
        self._written_bytes = _CHECK_EVERY_BYTES
        for path in (self._objects, self._names):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def get(self, name: str) -> bytes | None:
        """Return the content of a name, or None."""
        try:
            digest = self._name_path(name).read_text(encoding="ascii")
            path = self._objects / digest if len(digest) == 64 and digest.isalnum() else None
            content = path.read_bytes() if path is not None else None
        except (OSError, UnicodeDecodeError):
            return None
        if path is None or content is None or sha256(content).hexdigest() != digest:
            return None
        with suppress(OSError):
            os.utime(path)
        return content

    def put(self, name: str, content: bytes) -> None:
        """Keep a content under a name. One that is larger than the whole cache is not kept."""
        if len(content) > self._max_bytes:
            return
        digest = sha256(content).hexdigest()
        with suppress(OSError):
            _write(self._objects / digest, content)
            _write(self._name_path(name), digest.encode())
            self._written_bytes += len(content) + len(digest)
            if self._written_bytes >= min(_CHECK_EVERY_BYTES, self._max_bytes // 4):
                self._written_bytes = 0
                self._make_room()

    def _name_path(self, name: str) -> Path:
        return self._names / sha256(name.encode("utf-8", "surrogatepass")).hexdigest()

    def _make_room(self) -> None:
        """Delete the oldest files until nine tenths of the bound are left. Another process may delete them at the same time."""
        found = []
        for folder in (self._objects, self._names):
            with os.scandir(folder) as entries:
                for entry in entries:
                    with suppress(FileNotFoundError):
                        status = entry.stat()
                        found.append((status.st_mtime_ns, max(status.st_size, 512), entry.path))
        total = sum(size for _, size, _ in found)
        if total <= self._max_bytes:
            return
        for _, size, path in sorted(found):
            if total <= self._max_bytes * 9 // 10:
                break
            with suppress(FileNotFoundError):
                Path(path).unlink()
            total -= size


def _write(path: Path, content: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as part:
        try:
            part.write(content)
            part.flush()
            Path(part.name).replace(path)
        except BaseException:
            Path(part.name).unlink(missing_ok=True)
            raise
