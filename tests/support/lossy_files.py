"""A model of a file system that keeps only what it must: after a power loss, any unsynced part of it may be gone.

`fail_at` counts calls down: the call that it meets ends the life of the process (Crash), or fails with OSError. A call that
fails may have done any part of its work.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Mapping, Sequence


class Crash(BaseException):
    """The process is gone."""


class File:
    def __init__(self) -> None:
        self.content = b""
        self.durable = b""


class LossyFiles:
    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.names: dict[str, File] = {}
        self.durable_names: dict[str, File] = {}
        self.handles: dict[int, File] = {}
        self.next_handle = 1
        self.calls_left: int | None = None
        self.error: int | None = None
        """The error number of the failing call; None is a crash."""

    def fail_after(self, calls: int | None, error: int | None = None) -> None:
        self.calls_left, self.error = calls, error

    def kill(self) -> None:
        """kill -9: what was written stays written."""
        self.handles = {}
        self.fail_after(None)

    def lose_power(self) -> None:
        """Keep what is durable, and any part of the rest."""
        self.kill()
        for name in sorted(self.names.keys() | self.durable_names.keys()):
            if self.names.get(name) is self.durable_names.get(name) or self.chance.random() < 0.5:
                continue
            if name in self.durable_names:  # the removal, or the new name, was not durable
                self.names[name] = self.durable_names[name]
            else:
                del self.names[name]
        for file in set(self.names.values()):
            file.content = self._partly_lost(file)
            file.durable = file.content
        self.durable_names = dict(self.names)

    def _partly_lost(self, file: File) -> bytes:
        """Lose a tail of what is unsynced, or turn a part of it into zeros: pages reach the disk in any order."""
        if not file.content.startswith(file.durable):
            return self.chance.choice((file.content, file.durable))
        fresh = file.content[len(file.durable) :]
        kept = bytearray(fresh[: self.chance.randint(0, len(fresh))])
        if kept and self.chance.random() < 0.5:
            start = self.chance.randrange(len(kept))
            kept[start:] = bytes(len(kept) - start)
        return file.durable + bytes(kept)

    def _call(self) -> bool:
        """Count a call; true where it must fail with an error, after doing a part of its work."""
        if self.calls_left is None:
            return False
        self.calls_left -= 1
        if self.calls_left >= 0:
            return False
        if self.error is None:
            raise Crash
        self.calls_left = None
        return True

    def _fail(self) -> OSError:
        assert self.error is not None
        return OSError(self.error, errno.errorcode[self.error])

    def sizes(self) -> Mapping[str, int]:
        return {name: len(file.content) for name, file in self.names.items()}

    def create(self, name: str) -> int:
        if self._call():
            raise self._fail()
        if name in self.names:
            raise FileExistsError(errno.EEXIST, name)
        self.names[name] = File()
        self.next_handle += 1
        self.handles[self.next_handle] = self.names[name]
        return self.next_handle

    def append(self, handle: int, parts: Sequence[bytes]) -> None:
        file, data = self.handles[handle], b"".join(parts)
        if self.calls_left == 0:  # a crash or an error amid the write
            file.content += data[: self.chance.randint(0, len(data))]
        if self._call():
            raise self._fail()
        file.content += data

    def sync(self, handle: int) -> None:
        if self._call():
            raise self._fail()
        self.handles[handle].durable = self.handles[handle].content

    def close(self, handle: int) -> None:
        del self.handles[handle]

    def truncate(self, name: str, size: int) -> None:
        if self._call():
            raise self._fail()
        file = self.names[name]
        file.content = file.durable = file.content[:size]

    def read(self, name: str, offset: int, size: int) -> bytes:
        if name not in self.names:
            raise FileNotFoundError(errno.ENOENT, name)
        return self.names[name].content[offset : offset + size]

    def rename(self, name: str, new_name: str) -> None:
        if self._call():
            raise self._fail()
        if name not in self.names:
            raise FileNotFoundError(errno.ENOENT, name)
        self.names[new_name] = self.names.pop(name)

    def remove(self, name: str) -> None:
        if self._call():
            raise self._fail()
        self.names.pop(name, None)

    def sync_folder(self) -> None:
        if self._call():
            raise self._fail()
        self.durable_names = dict(self.names)
