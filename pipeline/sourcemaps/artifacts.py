"""Artifacts: the read-only, cached resolver that a stage's context holds. It finds built files and their maps."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, Protocol

from pipeline.sourcemaps.bundle import DamagedBundleError, open_zip, read_member
from pipeline.sourcemaps.byte_bounded import ByteBounded
from pipeline.sourcemaps.engine import Engine, MalformedMapError, ParsedMap
from pipeline.sourcemaps.folder_store import FolderStore
from pipeline.sourcemaps.found import Attempt, Module, ModuleKey, Problem
from pipeline.sourcemaps.project_index import FoundFile, ProjectIndex
from pipeline.sourcemaps.project_indexes import ProjectIndexes
from pipeline.sourcemaps.resolve import FrameCounts
from pipeline.sourcemaps.references import InvalidDataUrlError, decode_data_url, find_debug_id_comment, find_map_reference
from pipeline.sourcemaps.source_text import SourceText
from pipeline.sourcemaps.store import ArtifactStore, StoreUnavailableError
from pipeline.sourcemaps.symbolic_engine import SymbolicEngine
from pipeline.sourcemaps.urls import candidate_urls, join_urls


class ArtifactSettings(Protocol):
    """The settings that this needs; `pipeline.settings.Artifacts` has them, with their units."""

    @property
    def url(self) -> str | None: ...


class Content(NamedTuple):
    """A file's bytes; `digest` is their SHA-256."""

    bytes: bytes
    digest: bytes


class Artifacts:
    """Finds modules (a built file with its map) for the keys that a batch needs."""

    def __init__(
        self,
        store: ArtifactStore,
        engine: Engine,
        *,
        memory_bytes: int = 256_000_000,
        max_map_bytes: int = 32_000_000,
        poll_interval_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._engine = engine
        self._max_map_bytes = max_map_bytes
        self.frames: Counter[tuple[int, str, bool]] = Counter()
        """Frames looked up so far by (project, release, resolved)."""
        self._indexes = ProjectIndexes(store, poll_interval_s, clock)
        self._contents: ByteBounded[tuple[str, str], Content] = ByteBounded(memory_bytes // 4)
        self._maps: ByteBounded[tuple[bytes, bytes], ParsedMap | MalformedMapError] = ByteBounded(memory_bytes // 4 * 3)

    def look_up(self, keys: Iterable[ModuleKey]) -> dict[ModuleKey, Module]:
        """Find every module of a batch."""
        found = {}
        for key in keys:
            if key not in found:
                found[key] = self._find(self._indexes.get(key.origin.project_id), key)
        return found

    def _find(self, index: ProjectIndex, key: ModuleKey) -> Module:
        module = Module(key)
        file = index.find(key.origin, candidate_urls(key.url), debug_id=key.debug_id, file_type="minified_source")
        if file is None:
            module.problem = Problem("missing_source", key.url)
            return module
        try:
            minified = self._read(key.origin.project_id, file)
        except DamagedBundleError as error:
            module.problem = Problem("missing_source", key.url, str(error))
            return module
        module.attempts.append(Attempt(key.url, "not_attempted"))
        debug_id = key.debug_id
        if file.bundle.is_release_files and debug_id is None:
            debug_id = file.file.debug_id or find_debug_id_comment(minified.bytes)
        reference = find_map_reference(minified.bytes, file.file.headers)
        try:
            inline = decode_data_url(reference) if reference is not None else None
        except InvalidDataUrlError as error:
            if not file.bundle.is_release_files:
                module.problem = Problem("missing_source", key.url, str(error))
                return module
            inline, reference = None, None
        module.minified = SourceText(minified.bytes)
        if inline is not None:
            module.map_url = module.source_base = key.url
            module.resolved_with = file.resolved_with
            self._parse(module, minified, Content(inline, sha256(inline).digest()))
            return module
        if reference is None and debug_id is None:
            return module
        map_url = join_urls(key.url, reference) if reference is not None else None
        urls = candidate_urls(map_url) if map_url is not None else []
        map_file = index.find(key.origin, urls, debug_id=debug_id, file_type="source_map")
        if map_file is None:
            module.problem = Problem("missing_sourcemap", key.url)
            return module
        module.map_url = module.source_base = map_url or join_urls(key.url, map_file.file.url)
        try:
            content = self._read(key.origin.project_id, map_file)
        except DamagedBundleError as error:
            module.problem = Problem("malformed_sourcemap", module.map_url, str(error))
            return module
        module.attempts.append(Attempt(module.map_url, "not_attempted"))
        module.resolved_with = map_file.resolved_with
        self._parse(module, minified, content)
        return module

    def count(self, project_id: int, release: object, frames: FrameCounts) -> None:
        """Count the frames of an event for the share that is resolved per release."""
        name = release if isinstance(release, str) else ""
        self.frames[project_id, name, True] += frames.resolved
        self.frames[project_id, name, False] += frames.looked_up - frames.resolved

    def source(self, module: Module, source: str) -> SourceText | None:
        """Find an original source file that the map names without its content."""
        url = join_urls(module.source_base, source)
        index = self._indexes.get(module.key.origin.project_id)
        file = index.find(module.key.origin, candidate_urls(url), debug_id=None, file_type="source")
        if file is None:
            return None
        try:
            return SourceText(self._read(module.key.origin.project_id, file).bytes)
        except DamagedBundleError:
            return None

    def _read(self, project_id: int, found: FoundFile) -> Content:
        key = (f"{project_id}/{found.bundle.stored.name}/{found.bundle.stored.version}", found.file.member)
        content = self._contents.get(key)
        if content is None:
            try:
                with self._store.open(project_id, found.bundle.stored) as file, open_zip(file) as archive:
                    data = read_member(archive, found.file.member, self._max_map_bytes)
            except (FileNotFoundError, StoreUnavailableError) as error:
                raise DamagedBundleError(str(error)) from None
            content = Content(data, sha256(data).digest())
            self._contents.put(key, content, len(data) + 1024)
        return content

    def _parse(self, module: Module, minified: Content, source_map: Content) -> None:
        key = (minified.digest, source_map.digest)
        parsed = self._maps.get(key)
        if parsed is None:
            try:
                parsed = self._engine.parse(minified.bytes, source_map.bytes)
                self._maps.put(key, parsed, parsed.cost_bytes)
            except MalformedMapError as error:
                parsed = error
                self._maps.put(key, error, 1024)
        if isinstance(parsed, MalformedMapError):
            module.problem = Problem("malformed_sourcemap", module.map_url or module.key.url, str(parsed))
        else:
            module.map = parsed


def open_artifacts(settings: ArtifactSettings) -> Artifacts:
    """Open the store that the settings name."""
    return Artifacts(FolderStore(Path(settings.url or "")), SymbolicEngine())
