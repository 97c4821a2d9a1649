"""Blobs in an object store (see blobs.py)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import obstore
import obstore.store

from pipeline.sourcemaps.stores.blobs import FOLDER
from pipeline.sourcemaps.stores.object_store import translated


class ObjectBlobs:
    """Blobs below the URL of an object store. Object stores write each object as a whole."""

    def __init__(self, client: obstore.store.ObjectStore) -> None:
        self._client = client

    def put(self, name: str, content: bytes) -> None:  # noqa: D102 -- as in Blobs, like those below
        with translated():
            obstore.put(self._client, f"{FOLDER}/{name}", content)

    def get(self, name: str) -> bytes | None:  # noqa: D102
        with translated():
            try:
                return bytes(obstore.get(self._client, f"{FOLDER}/{name}").bytes())
            except FileNotFoundError:
                return None

    def existing(self, names: Iterable[str]) -> set[str]:  # noqa: D102
        found = set()
        for name in names:
            with translated():
                try:
                    obstore.head(self._client, f"{FOLDER}/{name}")
                except FileNotFoundError:
                    continue
            found.add(name)
        return found

    def names(self, prefix: str) -> Sequence[str]:  # noqa: D102
        return sorted(name for name, _ in self._list(prefix))

    def remove(self, name: str) -> None:  # noqa: D102
        with translated():
            try:
                obstore.delete(self._client, f"{FOLDER}/{name}")
            except FileNotFoundError:
                return

    def prune(self, prefix: str, older_than_s: float) -> None:  # noqa: D102
        now = datetime.now(UTC)
        for name, modified in self._list(prefix):
            if (now - modified).total_seconds() > older_than_s:
                self.remove(name)

    def _list(self, prefix: str) -> list[tuple[str, datetime]]:
        found = []
        with translated():
            for chunk in obstore.list(self._client, prefix=f"{FOLDER}/{prefix}/"):
                found += [(str(entry["path"]).removeprefix(f"{FOLDER}/"), entry["last_modified"]) for entry in chunk]
        return found
