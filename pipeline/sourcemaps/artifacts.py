"""Artifacts: the read-only, cached resolver that a stage's context holds. It finds built files and their maps."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

from pipeline.sourcemaps.disk_cache import DiskCache
from pipeline.sourcemaps.engine import Engine
from pipeline.sourcemaps.files import File, Files
from pipeline.sourcemaps.found import Module, ModuleKey
from pipeline.sourcemaps.maps import Maps
from pipeline.sourcemaps.modules import load_module
from pipeline.sourcemaps.probe import Probe
from pipeline.sourcemaps.project_index import ProjectIndex
from pipeline.sourcemaps.project_indexes import ProjectIndexes
from pipeline.sourcemaps.resolve import FrameCounts
from pipeline.sourcemaps.scraping import Scraper
from pipeline.sourcemaps.source_text import SourceText
from pipeline.sourcemaps.store import ArtifactStore
from pipeline.sourcemaps.urls import join_urls

_MAX_RELEASES = 10_000
"""Counted apart; the others are counted together, so that made-up release names fill no memory."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of memory (bytes), files (bytes) and time (seconds)."""

    memory_bytes: int = 512_000_000
    max_modules: int = 5_000
    max_file_bytes: int = 32_000_000
    poll_interval_s: float = 5.0
    retry_failed_s: float = 60.0


_DEFAULTS = Limits()


class ReleaseFrames(NamedTuple):
    """What frames are counted by; `release` is empty for events without one."""

    project_id: int
    release: str
    is_resolved: bool


class _Kept(NamedTuple):
    module: Module
    serial: int
    until_s: float


class Artifacts:
    """Finds modules (a built file with its map) for the keys that a batch needs. One thread at a time.

    A module is kept, found or not, until the project's bundles change; one that failed for a passing reason is tried again
    after `retry_failed_s`.
    """

    def __init__(
        self,
        store: ArtifactStore,
        engine: Engine,
        *,
        probe: Probe | None = None,
        disk: DiskCache | None = None,
        scraper: Scraper | None = None,
        limits: Limits = _DEFAULTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._frames: Counter[ReleaseFrames] = Counter()
        self._limits = limits
        self._clock = clock
        self._indexes = ProjectIndexes(store, limits.poll_interval_s, clock)
        contents_bytes = limits.memory_bytes // 4
        self._files = Files(store, memory_bytes=contents_bytes, max_file_bytes=limits.max_file_bytes, disk=disk, scraper=scraper)
        self._maps = Maps(engine, probe, limits.memory_bytes - contents_bytes, disk)
        self._modules: dict[ModuleKey, _Kept] = {}
        self.hits = 0
        """Modules that were wanted and still in memory, with their map; once for each batch that wants them."""
        self.misses = 0

    def look_up(self, keys: Iterable[ModuleKey]) -> dict[ModuleKey, Module]:
        """Find every module of a batch."""
        wanted = dict.fromkeys(keys)
        self._indexes.refresh(key.origin.project_id for key in wanted)
        now = self._clock()
        return {key: self._module(key, now) for key in wanted}

    def frame_counts(self) -> dict[ReleaseFrames, int]:
        """Give the frames looked up since the start: the share that is resolved per release is a metric. Any thread may ask."""
        return dict(self._frames)

    def index(self, project_id: int) -> ProjectIndex:
        """Give what is known of a project's bundles."""
        return self._indexes.get(project_id)

    def _module(self, key: ModuleKey, now: float) -> Module:
        index = self.index(key.origin.project_id)
        kept = self._modules.get(key)
        if kept is not None and kept.serial == index.serial and now < kept.until_s:
            module = self._with_contents(kept.module)
            if module is not None:
                self.hits += 1
                return module
        self.misses += 1
        module = load_module(key, index, self._files, self._maps)
        if len(self._modules) >= self._limits.max_modules:
            self._modules.clear()
        until_s = now + self._limits.retry_failed_s if module.is_temporary else math.inf
        self._modules[key] = _Kept(replace(module, minified=None, map=None), index.serial, until_s)
        return module

    def _with_contents(self, module: Module) -> Module | None:
        """Give a module back what only the bounded caches hold; None where they have let go of it."""
        minified = self._files.peek(module.text_key) if module.text_key is not None else None
        parsed = self._maps.peek(module.map_key) if module.map_key is not None else None
        if (module.text_key is not None and minified is None) or (module.map_key is not None and parsed is None):
            return None
        return replace(module, minified=minified, map=parsed.map if parsed is not None else None)

    def source(self, module: Module, name: str) -> SourceText | None:
        """Find an original file that the map names without its content."""
        index = self.index(module.key.origin.project_id)
        url = join_urls(module.source_base, name)
        found = self._files.find(index, module.key.origin, url, debug_id=None, file_type="source", attempted=module.attempted)
        return found.text if isinstance(found, File) else None

    def count(self, project_id: int, release: object, frames: FrameCounts) -> None:
        """Count an event's frames for the share that is resolved per release."""
        name = release if isinstance(release, str) else ""
        if len(self._frames) >= _MAX_RELEASES and (project_id, name, True) not in self._frames:
            name = "(others)"
        self._frames[ReleaseFrames(project_id, name, is_resolved=True)] += frames.resolved
        self._frames[ReleaseFrames(project_id, name, is_resolved=False)] += frames.looked_up - frames.resolved
