"""Artifacts: finds the modules (built files with their maps) for the stage `symbolicate`, and keeps them in memory."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

from lru import LRU

from pipeline.sourcemaps.disk_cache import DiskCache
from pipeline.sourcemaps.engines.contract import Engine
from pipeline.sourcemaps.engines.probe import Probe
from pipeline.sourcemaps.files import ArtifactFiles, File, Scraper
from pipeline.sourcemaps.module import Module, ModuleKey
from pipeline.sourcemaps.module_loading import load_module
from pipeline.sourcemaps.parsed_maps import ParsedMaps
from pipeline.sourcemaps.project_index import ProjectIndex, ProjectIndexes
from pipeline.sourcemaps.resolve import FrameCounts
from pipeline.sourcemaps.source_text import SourceText
from pipeline.sourcemaps.stores.contract import ArtifactStore

MAX_RELEASES = 1_000
"""How many releases are counted: those that sent frames last. The limit protects memory and Prometheus from made-up releases."""


@dataclass(frozen=True, slots=True)
class CacheLimits:
    """Bounds of memory (bytes), files (bytes) and time (seconds)."""

    memory_bytes: int = 256_000_000
    max_modules: int = 5_000
    max_file_bytes: int = 32_000_000
    poll_interval_s: float = 5.0
    retry_failed_s: float = 60.0


_DEFAULTS = CacheLimits()


class ReleaseFrames(NamedTuple):
    """The labels by which frames are counted. `release` is empty for events without one."""

    project_id: int
    release: str
    is_resolved: bool


class _KeptModule(NamedTuple):
    module: Module
    serial: int
    until_s: float


class Artifacts:
    """Finds modules (a built file with its map) for the keys that a batch needs. Not thread-safe.

    A module is kept, found or not, until the project's bundles change. After a temporary failure it is tried again after
    `retry_failed_s` seconds.
    """

    def __init__(
        self,
        store: ArtifactStore,
        engine: Engine,
        *,
        probe: Probe | None = None,
        disk: DiskCache | None = None,
        scraper: Scraper | None = None,
        limits: CacheLimits = _DEFAULTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._frames: LRU[tuple[int, str], tuple[int, int]] = LRU(MAX_RELEASES)
        """Resolved and unresolved frames by project and release."""
        self._limits = limits
        self._clock = clock
        self._indexes = ProjectIndexes(store, limits.poll_interval_s, clock)
        contents_bytes = limits.memory_bytes // 4
        self._files = ArtifactFiles(
            store, memory_bytes=contents_bytes, max_file_bytes=limits.max_file_bytes, disk=disk, scraper=scraper
        )
        self._maps = ParsedMaps(engine, probe, limits.memory_bytes - contents_bytes, disk)
        self._modules: LRU[ModuleKey, _KeptModule] = LRU(limits.max_modules)
        self.hits = 0
        """How many needed modules were in memory with their map. Each is counted once a batch."""
        self.misses = 0

    def look_up(self, keys: Iterable[ModuleKey]) -> dict[ModuleKey, Module]:
        """Return the modules of a batch. A file that is not in memory is read from the store. Raises nothing."""
        wanted = dict.fromkeys(keys)
        self._indexes.refresh(key.build.project_id for key in wanted)
        now = self._clock()
        return {key: self._module(key, now) for key in wanted}

    def frame_counts(self) -> dict[ReleaseFrames, int]:
        """Return how many frames were looked up, by release and result, for the `MAX_RELEASES` that sent frames last.

        A release that was dropped and comes back starts at 0. Any thread may call this.
        """
        counts: dict[ReleaseFrames, int] = {}
        for (project_id, release), (resolved, unresolved) in self._frames.items():
            counts[ReleaseFrames(project_id, release, is_resolved=True)] = resolved
            counts[ReleaseFrames(project_id, release, is_resolved=False)] = unresolved
        return counts

    def index(self, project_id: int) -> ProjectIndex:
        """Return the index of a project's bundles."""
        return self._indexes.get(project_id)

    def _module(self, key: ModuleKey, now: float) -> Module:
        index = self.index(key.build.project_id)
        kept = self._modules.get(key)
        if kept is not None and kept.serial == index.serial and now < kept.until_s:
            module = self._with_contents(kept.module)
            if module is not None:
                self.hits += 1
                return module
        self.misses += 1
        module = load_module(key, index, self._files, self._maps)
        until_s = now + self._limits.retry_failed_s if module.is_temporary else math.inf
        self._modules[key] = _KeptModule(replace(module, minified=None, map=None), index.serial, until_s)
        return module

    def _with_contents(self, module: Module) -> Module | None:
        """Return a module with its text and map, which only the caches hold. None if one of them was dropped."""
        minified = self._files.peek(module.text_key) if module.text_key is not None else None
        parsed = self._maps.peek(module.map_key) if module.map_key is not None else None
        if (module.text_key is not None and minified is None) or (module.map_key is not None and parsed is None):
            return None
        return replace(module, minified=minified, map=parsed.map if parsed is not None else None)

    def source(self, module: Module, name: str) -> SourceText | None:
        """Return an original file whose text the map does not carry, or None."""
        index = self.index(module.key.build.project_id)
        url = module.original_file(name).abs_path
        found = self._files.find(index, module.key.build, url, debug_id=None, file_type="source", attempted=module.attempted)
        return found.text if isinstance(found, File) else None

    def count(self, project_id: int, release: object, frames: FrameCounts) -> None:
        """Count the frames of an event for `frame_counts`."""
        key = (project_id, release if isinstance(release, str) else "")
        resolved, unresolved = self._frames.get(key, (0, 0))
        self._frames[key] = resolved + frames.resolved, unresolved + frames.looked_up - frames.resolved
