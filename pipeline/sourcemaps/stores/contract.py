"""Where bundles are kept: `<project id>/<name>.zip` in a folder or an object store. A project never sees another's bundles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO, NamedTuple, Protocol

BUNDLE_SUFFIX = ".zip"


class StoreUnavailableError(Exception):
    """The store does not answer. Frames stay unresolved until it does, and look-ups try again soon."""


class StoredBundle(NamedTuple):
    """A bundle as the store lists it. `version` changes with the content. `added` is in epoch seconds, and `size` in bytes."""

    name: str
    version: str
    size: int
    added: float


class ArtifactStore(Protocol):
    """A store of bundles. Every method raises StoreUnavailableError if the store does not answer."""

    def generation(self, project_id: int) -> str:
        """Return a value that changes when a bundle of the project is added or removed. It is cheap enough for polling."""

    def bundles(self, project_id: int) -> Sequence[StoredBundle]:
        """Return the bundles of a project."""

    def open(self, project_id: int, bundle: StoredBundle) -> BinaryIO:
        """Open a bundle for reading at any offset. Raises FileNotFoundError if it was removed since it was listed."""

    def add(self, project_id: int, name: str, content: BinaryIO) -> None:
        """Add a bundle. Readers see all of it or nothing."""

    def remove(self, project_id: int, name: str) -> None:
        """Remove a bundle if it exists."""

    def projects(self) -> Sequence[int]:
        """Return the ids of the projects that have bundles."""
