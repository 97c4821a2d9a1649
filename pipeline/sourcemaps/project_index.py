"""The index of each project: finds the file of a look-up in the project's bundles. It is kept up to date by polling the store.

See docs/spec/source-maps.md, "Finding the built file".
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

from lru import LRU

from pipeline.sourcemaps.bundle import Bundle, BundledFile, read_bundle
from pipeline.sourcemaps.module import EventBuild
from pipeline.sourcemaps.stores.contract import ArtifactStore, StoredBundle, StoreUnavailableError

log = logging.getLogger(__name__)

_MAX_PROJECTS = 10_000
"""How many indexes are kept. Further ones are read from the store again when they are needed."""
_REQUESTS_AT_ONCE = 16


class FoundFile(NamedTuple):
    """A file and how it was found: `debug-id`, `release` or `release-old`."""

    bundle: Bundle
    file: BundledFile
    resolved_with: str


class ProjectIndex:
    """The bundles of one project, the newest first. If a bundle is added or removed, a new index is made."""

    def __init__(self, bundles: Iterable[Bundle], generation: str = "", serial: int = 0) -> None:
        self.generation = generation
        self.serial = serial
        """A number that differs for each index, so that results of an older index can be recognized."""
        self.out_of_date: str | None = None
        """The error of the last poll, or None. With an error, a file that is missing here may be in the store."""
        self.bundles = sorted(bundles, key=lambda bundle: (bundle.stored.added, bundle.stored.name), reverse=True)
        self._by_debug_id: dict[str, list[Bundle]] = defaultdict(list)
        self._by_url: dict[tuple[str | None, str | None, str], list[Bundle]] = defaultdict(list)
        self._unbound: list[Bundle] = []
        for bundle in self.bundles:
            for debug_id in {debug_id for debug_id, _ in bundle.by_debug_id}:
                self._by_debug_id[debug_id].append(bundle)
            if bundle.release is not None:
                for url in bundle.by_url:
                    self._by_url[bundle.release, bundle.dist, url].append(bundle)
            elif not bundle.by_debug_id:
                self._unbound.append(bundle)

    def find(self, build: EventBuild, urls: Sequence[str], *, debug_id: str | None, file_type: str) -> FoundFile | None:
        """Return a file by debug id and type, else by the first of its candidate URLs, from the newest bundle that has it.

        By URL, an event sees the bundles of its debug ids and those of exactly its release and dist. Only if none of them has any
        of the URLs, it sees the release's single files. A bundle with neither release nor debug ids could not be found at all,
        so it is used for every release, after all others.
        """
        if debug_id is not None:
            for bundle in self._by_debug_id.get(debug_id, ()):
                file = bundle.by_debug_id.get((debug_id, file_type))
                if file is not None:
                    return FoundFile(bundle, file, "debug-id")
        known = [bundle for event_debug_id in build.debug_ids for bundle in self._by_debug_id.get(event_debug_id, ())]
        candidates = [(url, bundle) for url in urls for bundle in self._with_url(build, url, known)]
        candidates.sort(key=lambda candidate: candidate[1].is_release_files)
        if build.release is not None:
            candidates += [(url, bundle) for url in urls for bundle in self._unbound if url in bundle.by_url]
        if not candidates:
            return None
        url, bundle = candidates[0]
        is_known = any(bundle is other for other in known)
        return FoundFile(bundle, bundle.by_url[url], "debug-id" if is_known else bundle.resolved_with)

    def _with_url(self, build: EventBuild, url: str, known: list[Bundle]) -> list[Bundle]:
        """Return the bundles that an event sees and that hold a URL, the newest first."""
        of_release = self._by_url.get((build.release, build.dist, url), []) if build.release is not None else []
        seen = [bundle for bundle in known if url in bundle.by_url]
        return sorted((*seen, *of_release), key=lambda bundle: (bundle.stored.added, bundle.stored.name), reverse=True)

    def with_url(self, urls: Sequence[str]) -> list[FoundFile]:
        """Return the files of these URLs under any release and dist, to explain why one was not found."""
        return [
            FoundFile(bundle, bundle.by_url[url], bundle.resolved_with)
            for url in urls
            for bundle in self.bundles
            if url in bundle.by_url
        ]


@dataclass(slots=True)
class _PolledProject:
    index: ProjectIndex = field(default_factory=lambda: ProjectIndex(()))
    next_poll_s: float = 0.0
    bundles: dict[StoredBundle, Bundle] = field(default_factory=dict)


class ProjectIndexes:
    """Keeps the index of each project, at most `poll_interval_s` seconds old. A process reads the manifest of a bundle once."""

    def __init__(self, store: ArtifactStore, poll_interval_s: float, clock: Callable[[], float]) -> None:
        self._store = store
        self._poll_interval_s = poll_interval_s
        self._clock = clock
        self._projects: LRU[int, _PolledProject] = LRU(_MAX_PROJECTS)
        self._serials = count(1)

    def refresh(self, project_ids: Iterable[int]) -> None:
        """Poll those projects of a batch that are due, several at once: a distant store answers in tens of milliseconds."""
        projects = {project_id: self._project(project_id) for project_id in set(project_ids)}
        due = [(project_id, project) for project_id, project in projects.items() if self._clock() >= project.next_poll_s]
        if len(due) > 1:
            with ThreadPoolExecutor(_REQUESTS_AT_ONCE) as requests:
                list(requests.map(lambda each: self._poll(*each), due))
        else:
            for project_id, project in due:
                self._poll(project_id, project)

    def get(self, project_id: int) -> ProjectIndex:
        """Return the index of a project. If the store does not answer, this is the last one."""
        project = self._project(project_id)
        if self._clock() >= project.next_poll_s:
            self._poll(project_id, project)
        return project.index

    def _project(self, project_id: int) -> _PolledProject:
        project = self._projects.get(project_id)
        if project is None:
            project = self._projects[project_id] = _PolledProject()
        return project

    def _poll(self, project_id: int, project: _PolledProject) -> None:
        project.next_poll_s = self._clock() + self._poll_interval_s
        try:
            generation = self._store.generation(project_id)
            if generation != project.index.generation:
                self._rebuild(project_id, project, generation)
            project.index.out_of_date = None
        except StoreUnavailableError as error:
            project.index.out_of_date = str(error)
            log.warning("artifacts of project %d are not up to date: %s", project_id, error)

    def _rebuild(self, project_id: int, project: _PolledProject, generation: str) -> None:
        stored = self._store.bundles(project_id)
        known = project.bundles
        project.bundles = {bundle: known[bundle] for bundle in stored if bundle in known}
        unread = [bundle for bundle in stored if bundle not in known]
        if len(unread) > 1:
            with ThreadPoolExecutor(_REQUESTS_AT_ONCE) as requests:
                for bundle in requests.map(lambda each: self._read(project_id, each), unread):
                    project.bundles[bundle.stored] = bundle
        else:
            for each in unread:
                project.bundles[each] = self._read(project_id, each)
        project.index = ProjectIndex(project.bundles.values(), generation, next(self._serials))

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
