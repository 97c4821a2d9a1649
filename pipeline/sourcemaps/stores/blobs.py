"""Blobs: small objects beside the bundles of an artifact store, such as chunks of uploads, releases and deploys."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from pipeline.sourcemaps.stores.contract import StoreUnavailableError

FOLDER = "uploads"
"""The folder of blobs in a store. It cannot be a project's, because those are numbers."""


class Blobs(Protocol):
    """Named bytes. Names are paths of letters, digits, `-`, `_` and `.`. Every method may raise StoreUnavailableError."""

    def put(self, name: str, content: bytes) -> None:
        """Write a blob. Readers see all of it or nothing."""

    def get(self, name: str) -> bytes | None:
        """Return a blob, or None if there is none of that name."""

    def existing(self, names: Iterable[str]) -> set[str]:
        """Return those of the names that exist."""

    def names(self, prefix: str) -> Sequence[str]:
        """Return the names in the folder `prefix`, sorted."""

    def remove(self, name: str) -> None:
        """Remove a blob if it exists."""

    def prune(self, prefix: str, older_than_s: float) -> None:
        """Remove the blobs of a folder that are older than `older_than_s` seconds."""


class FolderBlobs:
    """Blobs in a folder of the artifact folder."""

    def __init__(self, artifacts: Path) -> None:
        self._folder = artifacts / FOLDER

    def put(self, name: str, content: bytes) -> None:  # noqa: D102 -- as in Blobs, like those below
        path = self._folder / name
        with _translated(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".part", delete=False) as part:
                try:
                    part.write(content)
                    part.flush()
                    os.fsync(part.fileno())
                    Path(part.name).replace(path)
                except BaseException:
                    Path(part.name).unlink(missing_ok=True)
                    raise

    def get(self, name: str) -> bytes | None:  # noqa: D102
        with _translated(self._folder / name):
            try:
                return (self._folder / name).read_bytes()
            except FileNotFoundError:
                return None

    def existing(self, names: Iterable[str]) -> set[str]:  # noqa: D102
        return {name for name in names if (self._folder / name).is_file()}

    def names(self, prefix: str) -> Sequence[str]:  # noqa: D102
        with _translated(self._folder / prefix):
            try:
                found = [entry.name for entry in (self._folder / prefix).iterdir() if not entry.name.startswith(".")]
            except FileNotFoundError:
                return ()
        return sorted(f"{prefix}/{name}" for name in found)

    def remove(self, name: str) -> None:  # noqa: D102
        with _translated(self._folder / name):
            (self._folder / name).unlink(missing_ok=True)

    def prune(self, prefix: str, older_than_s: float) -> None:  # noqa: D102
        for name in self.names(prefix):
            with suppress(OSError):
                if time.time() - (self._folder / name).stat().st_mtime > older_than_s:
                    (self._folder / name).unlink(missing_ok=True)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreUnavailableError(f"{path}: {error.strerror or error}") from None
