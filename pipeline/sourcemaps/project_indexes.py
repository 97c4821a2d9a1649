"""The index of each project's bundles, kept up to date with the store by polling."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from pipeline.sourcemaps.bundle import Bundle, read_bundle
from pipeline.sourcemaps.project_index import ProjectIndex
from pipeline.sourcemaps.store import ArtifactStore, StoredBundle, StoreUnavailableError

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Watched:
    index: ProjectIndex = field(default_factory=lambda: ProjectIndex(()))
    next_poll_s: float = 0.0
    bundles: dict[tuple[str, str], Bundle] = field(default_factory=dict)


class ProjectIndexes:
    """Gives the index of a project, at most `poll_interval_s` old. A manifest is read once a bundle and process."""

    def __init__(self, store: ArtifactStore, poll_interval_s: float, clock: Callable[[], float]) -> None:
        self._store = store
        self._poll_interval_s = poll_interval_s
        self._clock = clock
        self._projects: dict[int, _Watched] = {}

    def get(self, project_id: int) -> ProjectIndex:
        """Give the index. A store that does not answer leaves the last one in use."""
        watched = self._projects.setdefault(project_id, _Watched())
        now = self._clock()
        if now < watched.next_poll_s:
            return watched.index
        watched.next_poll_s = now + self._poll_interval_s
        try:
            generation = self._store.generation(project_id)
            if generation != watched.index.generation:
                self._rebuild(project_id, watched, generation)
        except StoreUnavailableError as error:
            log.warning("artifacts of project %d are not up to date: %s", project_id, error)
        return watched.index

    def _rebuild(self, project_id: int, watched: _Watched, generation: str) -> None:
        stored = self._store.bundles(project_id)
        watched.bundles = {
            (bundle.name, bundle.version): watched.bundles.get((bundle.name, bundle.version)) or self._read(project_id, bundle)
            for bundle in stored
        }
        watched.index = ProjectIndex(watched.bundles.values(), generation)

    def _read(self, project_id: int, stored: StoredBundle) -> Bundle:
        try:
            with self._store.open(project_id, stored) as file:
                bundle = read_bundle(stored, file)
        except FileNotFoundError:
            bundle = Bundle(stored, damage=("gone while it was read",))
        for damage in bundle.damage[:3]:
            log.warning("artifact bundle %d/%s: %s", project_id, stored.name, damage)
        return bundle
