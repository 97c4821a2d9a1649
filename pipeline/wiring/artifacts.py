"""The artifact store, the engine and the caches that the settings name. Each library is loaded only if it is used."""

from __future__ import annotations

import logging
from pathlib import Path

from pipeline.model.errors import SettingsError
from pipeline.settings.schema import ArtifactSettings
from pipeline.sourcemaps.artifacts import Artifacts, CacheLimits
from pipeline.sourcemaps.disk_cache import DiskCache
from pipeline.sourcemaps.engines.contract import Engine
from pipeline.sourcemaps.engines.names_of_sources import OriginalNameReader
from pipeline.sourcemaps.engines.probe import Probe
from pipeline.sourcemaps.files import Scraper
from pipeline.sourcemaps.stores.blobs import Blobs, FolderBlobs
from pipeline.sourcemaps.stores.contract import ArtifactStore
from pipeline.sourcemaps.stores.folder_store import FolderStore

log = logging.getLogger(__name__)


def open_artifacts(settings: ArtifactSettings) -> Artifacts:
    """Open the artifact store with its caches. Raises SettingsError if none is configured or its URL cannot be used."""
    store = open_store(settings)
    if isinstance(store, FolderStore) and not store.folder.is_dir():
        log.warning("%s: no such folder; until it is there, frames stay minified", store.folder)
    limits = CacheLimits(
        memory_bytes=settings.memory_bytes,
        max_file_bytes=settings.max_file_bytes,
        poll_interval_s=settings.poll_interval_s,
        retry_failed_s=settings.retry_failed_s,
    )
    engine, probe = _open_engine(settings)
    disk = None if isinstance(store, FolderStore) else _open_disk_cache(settings)
    return Artifacts(store, engine, probe=probe, disk=disk, scraper=_open_scraper(settings), limits=limits)


def open_store(settings: ArtifactSettings) -> ArtifactStore:
    """Open the store alone. Raises SettingsError if none is configured or its URL cannot be used."""
    if not settings.url:
        raise SettingsError("no artifact store is configured: give --artifacts, or artifacts.url in the settings")
    if (folder := _folder(settings.url)) is not None:
        return FolderStore(folder)
    from pipeline.sourcemaps.stores.object_store import open_object_store  # noqa: PLC0415 -- a folder needs no client

    try:
        return open_object_store(settings.url, timeout_s=settings.store_timeout_s, relist_s=settings.relist_interval_s)
    except ValueError as error:
        raise SettingsError(f"artifacts.url: {error}") from None


def open_blobs(settings: ArtifactSettings) -> Blobs:
    """Open the part of the store that keeps uploads and releases beside the bundles.

    Raises SettingsError as `open_store` does.
    """
    url = settings.url or ""
    if (folder := _folder(url)) is not None:
        return FolderBlobs(folder)
    from pipeline.sourcemaps.stores.object_blobs import ObjectBlobs  # noqa: PLC0415 -- a folder needs no client
    from pipeline.sourcemaps.stores.object_store import connect  # noqa: PLC0415 -- likewise

    try:
        return ObjectBlobs(connect(url, settings.store_timeout_s))
    except ValueError as error:
        raise SettingsError(f"artifacts.url: {error}") from None


def _folder(url: str) -> Path | None:
    """Return the folder that a URL names, or None for an object store."""
    if "://" not in url:
        return Path(url)
    return Path(url.removeprefix("file://")) if url.startswith("file://") else None


def _open_engine(settings: ArtifactSettings) -> tuple[Engine, Probe | None]:
    """Return the configured engine. The engine `symbolic` can be killed by a hostile file, so it comes with a probe."""
    names = _open_name_reader(settings)
    if settings.engine == "symbolic":
        try:
            from pipeline.sourcemaps.engines.symbolic_engine import SymbolicEngine  # noqa: PLC0415 -- it may be missing
        except ImportError as error:
            log.warning("symbolic cannot be loaded, so frames get positions but no function names: %s", error)
        else:
            return SymbolicEngine(names), Probe(settings.parse_cpu_s, settings.parse_memory_bytes)
    from pipeline.sourcemaps.engines.sourcemap_engine import SourcemapEngine  # noqa: PLC0415 -- used by choice only

    return SourcemapEngine(names), None


def _open_name_reader(settings: ArtifactSettings) -> OriginalNameReader | None:
    if settings.function_names == "minified":
        return None
    from pipeline.sourcemaps.engines.original_names import TreeSitterNames  # noqa: PLC0415 -- off unless configured

    return TreeSitterNames()


def _open_scraper(settings: ArtifactSettings) -> Scraper | None:
    if not settings.scrape_hosts:
        return None
    from pipeline.sourcemaps.http_scraper import HttpScraper, ScrapingLimits  # noqa: PLC0415 -- off unless configured

    limits = ScrapingLimits(max_file_bytes=settings.max_file_bytes, timeout_s=settings.scrape_timeout_s)
    return HttpScraper(settings.scrape_hosts, limits)


def _open_disk_cache(settings: ArtifactSettings) -> DiskCache | None:
    try:
        return DiskCache(Path(settings.cache_dir).expanduser(), settings.cache_bytes)
    except OSError as error:
        log.warning("no disk cache for artifacts: %s", error)
        return None
