"""Where bundles are kept: `<project id>/<name>.zip`, in a folder or an object store. A project never sees another's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO, NamedTuple, Protocol

BUNDLE_SUFFIX = ".zip"


class StoreUnavailableError(Exception):
    """The store does not answer. Frames go unresolved meanwhile; look-ups try again soon."""


class StoredBundle(NamedTuple):
    """A bundle as the store lists it. `version` changes with the content; `added` is in epoch seconds, `size` in bytes."""

    name: str
    version: str
    size: int
    added: float


class ArtifactStore(Protocol):
    """A store of bundles. Every method raises StoreUnavailableError where the store does not answer."""

    def generation(self, project_id: int) -> str:
        """Give a value that changes when a bundle of the project comes or goes: cheap enough to be polled."""

    def bundles(self, project_id: int) -> Sequence[StoredBundle]:
        """List the bundles of a project."""

    def open(self, project_id: int, bundle: StoredBundle) -> BinaryIO:
        """Open a bundle for reading at any place. Raises FileNotFoundError where it has gone meanwhile."""

    def add(self, project_id: int, name: str, content: BinaryIO) -> None:
        """Put a bundle there, whole or not at all."""

    def remove(self, project_id: int, name: str) -> None:
        """Take a bundle away; one that is not there is no error."""

    def projects(self) -> Sequence[int]:
        """Give the ids of the projects that have bundles."""
