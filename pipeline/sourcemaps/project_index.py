"""Which file of which bundle a look-up means: by debug id, else by release, dist and URL (spec/javascript.md section 1)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import count
from typing import NamedTuple

from pipeline.sourcemaps.bundle import Bundle, BundledFile
from pipeline.sourcemaps.found import Origin

_serials = count()
"""Tells one state of a project's bundles from another, without keeping the old one."""


class FoundFile(NamedTuple):
    """A file and how it was found: `debug-id`, `release` or `release-old`."""

    bundle: Bundle
    file: BundledFile
    resolved_with: str


class ProjectIndex:
    """All bundles of one project, the newest first. A bundle that comes or goes makes another index."""

    def __init__(self, bundles: Iterable[Bundle], generation: str = "") -> None:
        self.generation = generation
        self.serial = next(_serials)
        self.out_of_date: str | None = None
        """Why the store could not be asked the last time, so that what is missing here may be there."""
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

    def find(self, origin: Origin, urls: Sequence[str], *, debug_id: str | None, file_type: str) -> FoundFile | None:
        """Find a file by debug id and type, else by its candidate URLs in their order; for each, the newest bundle first.

        By URL an event sees the bundles of its debug ids and those of exactly its release and dist; where none of them has any of
        the URLs, the release's single files. A bundle that names neither release nor debug id could be found in no other way, so
        it serves every release, at last.
        """
        if debug_id is not None:
            for bundle in self._by_debug_id.get(debug_id, ()):
                file = bundle.by_debug_id.get((debug_id, file_type))
                if file is not None:
                    return FoundFile(bundle, file, "debug-id")
        known = [bundle for event_debug_id in origin.debug_ids for bundle in self._by_debug_id.get(event_debug_id, ())]
        candidates = [(url, bundle) for url in urls for bundle in self._with_url(origin, url, known)]
        candidates.sort(key=lambda candidate: candidate[1].is_release_files)
        if origin.release is not None:
            candidates += [(url, bundle) for url in urls for bundle in self._unbound if url in bundle.by_url]
        if not candidates:
            return None
        url, bundle = candidates[0]
        is_known = any(bundle is other for other in known)
        return FoundFile(bundle, bundle.by_url[url], "debug-id" if is_known else bundle.resolved_with)

    def _with_url(self, origin: Origin, url: str, known: list[Bundle]) -> list[Bundle]:
        """Give the bundles that an event sees and that hold a URL, the newest first."""
        of_release = self._by_url.get((origin.release, origin.dist, url), []) if origin.release is not None else []
        seen = [bundle for bundle in known if url in bundle.by_url]
        return sorted((*seen, *of_release), key=lambda bundle: (bundle.stored.added, bundle.stored.name), reverse=True)

    def with_url(self, urls: Sequence[str]) -> list[FoundFile]:
        """Find a URL under any release and dist, for the explanation of a miss."""
        return [
            FoundFile(bundle, bundle.by_url[url], bundle.resolved_with)
            for url in urls
            for bundle in self.bundles
            if url in bundle.by_url
        ]
