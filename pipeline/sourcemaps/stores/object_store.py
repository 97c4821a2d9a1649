"""The artifact store in an object store (S3, GCS, Azure), which workers on many machines share. Its client is `obstore`.

A bundle is `<project id>/<name>.zip` below the URL. Its directory and its files are read by ranges, never the whole bundle.
`<project id>/generation` changes with every bundle that `pipeline sourcemaps` adds or removes, so polling a project is one small
request. A bundle that was added by other means is found within `relist_s` seconds, when the project is listed again.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, BinaryIO, cast
from uuid import uuid4

import obstore
import obstore.store
from obstore.exceptions import BaseError

from pipeline.sourcemaps.stores.contract import BUNDLE_SUFFIX, StoredBundle, StoreUnavailableError

if TYPE_CHECKING:
    from typing_extensions import Buffer  # collections.abc has it from Python 3.12 on

_GENERATION = "generation"
_READ_AHEAD_BYTES = 256 * 1024


def open_object_store(url: str, *, timeout_s: float, relist_s: float) -> ObjectStore:
    """Open a store by its URL. Credentials are found as by the cloud's own tools. Raises ValueError."""
    return ObjectStore(connect(url, timeout_s), relist_s=relist_s)


def connect(url: str, timeout_s: float) -> obstore.store.ObjectStore:
    """Return a client for a URL. Raises ValueError."""
    try:
        return obstore.store.from_url(
            url,
            client_options={
                "timeout": timedelta(seconds=timeout_s),
                "allow_http": True,
            },  # http is for a store in a local network
            retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=timeout_s * 3)},
        )
    except (BaseError, ValueError) as error:
        raise ValueError(f"{url}: {error}") from None


class ObjectStore:
    """Bundles in an object store."""

    def __init__(
        self, client: obstore.store.ObjectStore, *, relist_s: float = 60.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._relist_s = relist_s
        self._clock = clock

    def generation(self, project_id: int) -> str:
        """Return the content of the generation object and a number that changes every `relist_s` seconds."""
        period = int(self._clock() // self._relist_s)
        with translated():
            try:
                written = bytes(obstore.get(self._client, f"{project_id}/{_GENERATION}").bytes()).decode("utf-8", "replace")
            except FileNotFoundError:
                written = ""
        return f"{written}/{period}"

    def bundles(self, project_id: int) -> Sequence[StoredBundle]:
        """Return the bundles of a project. Other objects, and those in deeper folders, are skipped."""
        prefix = f"{project_id}/"
        found = []
        with translated():
            for chunk in obstore.list(self._client, prefix=prefix):
                for entry in chunk:
                    name = entry["path"].removeprefix(prefix)
                    if name.endswith(BUNDLE_SUFFIX) and "/" not in name:
                        added = entry["last_modified"].timestamp()
                        found.append(StoredBundle(name, entry["e_tag"] or f"{added}-{entry['size']}", entry["size"], added))
        return sorted(found)

    def open(self, project_id: int, bundle: StoredBundle) -> BinaryIO:
        """Open a bundle. Nothing is read yet, so a missing bundle raises FileNotFoundError when it is read."""
        raw = _RangeReader(self._client, f"{project_id}/{bundle.name}", bundle.size)
        return cast("BinaryIO", io.BufferedReader(raw, _READ_AHEAD_BYTES))

    def add(self, project_id: int, name: str, content: BinaryIO) -> None:
        """Upload a bundle, then change the generation."""
        with translated():
            obstore.put(self._client, f"{project_id}/{name}", content)
            self._change(project_id)

    def remove(self, project_id: int, name: str) -> None:
        """Delete a bundle, then change the generation."""
        with translated():
            try:
                obstore.delete(self._client, f"{project_id}/{name}")
            except FileNotFoundError:
                return
            self._change(project_id)

    def projects(self) -> Sequence[int]:
        """Return the ids of the projects that have bundles."""
        with translated():
            prefixes = obstore.list_with_delimiter(self._client)["common_prefixes"]
        return sorted(int(prefix) for prefix in prefixes if prefix.isascii() and prefix.isdigit())

    def _change(self, project_id: int) -> None:
        obstore.put(self._client, f"{project_id}/{_GENERATION}", uuid4().hex.encode())


class _RangeReader(io.RawIOBase):
    """An object as a file. Each read fetches one range."""

    def __init__(self, client: obstore.store.ObjectStore, path: str, size: int) -> None:
        self._client = client
        self._path = path
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer).cast("B")
        length = min(len(view), self._size - self._at)
        if length <= 0:
            return 0
        with translated():
            data = bytes(obstore.get_range(self._client, self._path, start=self._at, length=length))
        view[: len(data)] = data
        self._at += len(data)
        return len(data)


@contextmanager
def translated() -> Iterator[None]:
    """Raise StoreUnavailableError for errors of the client. A missing object stays a FileNotFoundError."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (BaseError, OSError) as error:
        raise StoreUnavailableError(str(error).splitlines()[0]) from None
