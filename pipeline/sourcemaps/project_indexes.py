"""The index of each project's bundles, kept up to date with the store by polling."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from pipeline.sourcemaps.bundle import Bundle, read_bundle
from pipeline.sourcemaps.project_index import ProjectIndex
from pipeline.sourcemaps.store import ArtifactStore, StoredBundle, StoreUnavailableError

log = logging.getLogger(__name__)

_MAX_PROJECTS = 10_000
"""Held at a time; a worker that sees more forgets all and reads them again."""
_REQUESTS_AT_ONCE = 16


@dataclass(slots=True)
class _Watched:
    index: ProjectIndex = field(default_factory=lambda: ProjectIndex(()))
    next_poll_s: float = 0.0
    bundles: dict[StoredBundle, Bundle] = field(default_factory=dict)


class ProjectIndexes:
    """Gives the index of a project, at most `poll_interval_s` old. A manifest is read once a bundle and process."""

    def __init__(self, store: ArtifactStore, poll_interval_s: float, clock: Callable[[], float]) -> None:
        self._store = store
        self._poll_interval_s = poll_interval_s
        self._clock = clock
        self._projects: dict[int, _Watched] = {}

    def refresh(self, project_ids: Iterable[int]) -> None:
        """Poll those projects of a batch that are due, several at once: a distant store answers in tens of milliseconds."""
        due = [project_id for project_id in set(project_ids) if self._clock() >= self._watched(project_id).next_poll_s]
        if len(due) > 1:
            with ThreadPoolExecutor(_REQUESTS_AT_ONCE) as requests:
                list(requests.map(self._poll, due))
        else:
            for project_id in due:
                self._poll(project_id)

    def get(self, project_id: int) -> ProjectIndex:
        """Give the index. A store that does not answer leaves the last one in use."""
        if self._clock() >= self._watched(project_id).next_poll_s:
            self._poll(project_id)
        return self._watched(project_id).index

    def _watched(self, project_id: int) -> _Watched:
        watched = self._projects.get(project_id)
        if watched is None:
            if len(self._projects) >= _MAX_PROJECTS:
                self._projects.clear()
            watched = self._projects[project_id] = _Watched()
        return watched

    def _poll(self, project_id: int) -> None:
        watched = self._watched(project_id)
        watched.next_poll_s = self._clock() + self._poll_interval_s
        try:
            generation = self._store.generation(project_id)
            if generation != watched.index.generation:
                self._rebuild(project_id, watched, generation)
            watched.index.out_of_date = None
        except StoreUnavailableError as error:
            watched.index.out_of_date = str(error)
            log.warning("artifacts of project %d are not up to date: %s", project_id, error)

    def _rebuild(self, project_id: int, watched: _Watched, generation: str) -> None:
        stored = self._store.bundles(project_id)
        known = watched.bundles
        watched.bundles = {bundle: known[bundle] for bundle in stored if bundle in known}
        unread = [bundle for bundle in stored if bundle not in known]
        if len(unread) > 1:
            with ThreadPoolExecutor(_REQUESTS_AT_ONCE) as requests:
                for bundle in requests.map(lambda each: self._read(project_id, each), unread):
                    watched.bundles[bundle.stored] = bundle
        else:
            for each in unread:
                watched.bundles[each] = self._read(project_id, each)
        watched.index = ProjectIndex(watched.bundles.values(), generation)

    def _read(self, project_id: int, stored: StoredBundle) -> Bundle:
        try:
            with self._store.open(project_id, stored) as file:
                bundle = read_bundle(stored, file)
        except FileNotFoundError:
            bundle = Bundle(stored, damage=("gone while it was read",))
        except OSError as error:
            raise StoreUnavailableError(f"{stored.name}: {error}") from None
        for damage in bundle.damage[:3]:
            log.warning("artifact bundle %d/%s: %s", project_id, stored.name, damage)
        return bundle
