"""The artifact store as a folder: dropping a bundle at `FOLDER/<project id>/*.zip` is enough to add it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from pipeline.sourcemaps.stores.contract import BUNDLE_SUFFIX, StoredBundle, StoreUnavailableError


class FolderStore:
    """Bundles in a folder, local or on a network file system."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def generation(self, project_id: int) -> str:
        """Return a digest of the names, sizes and times in the project's folder, which are read in one scan."""
        return sha256(repr(self.bundles(project_id)).encode()).hexdigest()

    def bundles(self, project_id: int) -> Sequence[StoredBundle]:
        """Return the zips. Links are left out, so that nothing outside the folder is read."""
        found = []
        try:
            with os.scandir(self.folder / str(project_id)) as entries:
                for entry in entries:
                    if entry.name.endswith(BUNDLE_SUFFIX) and entry.is_file(follow_symlinks=False):
                        with suppress(FileNotFoundError):
                            status = entry.stat(follow_symlinks=False)
                            version = f"{status.st_ino}-{status.st_mtime_ns}-{status.st_size}"
                            found.append(StoredBundle(entry.name, version, status.st_size, status.st_mtime))
        except (FileNotFoundError, NotADirectoryError):
            return ()
        except OSError as error:
            raise StoreUnavailableError(f"{self.folder}: {error}") from None
        return sorted(found)

    def open(self, project_id: int, bundle: StoredBundle) -> BinaryIO:
        """Open a bundle. Raises FileNotFoundError."""
        try:
            return (self.folder / str(project_id) / bundle.name).open("rb")
        except FileNotFoundError:
            raise
        except OSError as error:
            raise StoreUnavailableError(f"{self.folder}: {error}") from None

    def add(self, project_id: int, name: str, content: BinaryIO) -> None:
        """Write to another name, then rename: a worker that scans at that moment sees all of the bundle or nothing."""
        folder = self.folder / str(project_id)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=folder, prefix=".", suffix=".part", delete=False) as part:
                try:
                    shutil.copyfileobj(content, part)
                    part.flush()
                    os.fsync(part.fileno())
                    Path(part.name).chmod(0o644)
                    Path(part.name).replace(folder / name)
                except BaseException:
                    Path(part.name).unlink(missing_ok=True)
                    raise
        except OSError as error:
            raise StoreUnavailableError(f"{folder}: {error}") from None

    def remove(self, project_id: int, name: str) -> None:
        """Delete a bundle's file."""
        (self.folder / str(project_id) / name).unlink(missing_ok=True)

    def projects(self) -> Sequence[int]:
        """Return the ids of the projects that have a folder."""
        if not self.folder.is_dir():
            return ()
        return sorted(int(entry.name) for entry in self.folder.iterdir() if entry.name.isascii() and entry.name.isdigit())
