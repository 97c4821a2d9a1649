"""From settings to a resolver: which store, which engine, which limits."""

from __future__ import annotations

import logging
from pathlib import Path

from pipeline.model.errors import SettingsError
from pipeline.settings.schema import ArtifactSettings
from pipeline.sourcemaps.artifacts import Artifacts, CacheLimits
from pipeline.sourcemaps.disk_cache import DiskCache
from pipeline.sourcemaps.engines.contract import Engine
from pipeline.sourcemaps.engines.probe import Probe
from pipeline.sourcemaps.http_scraper import HttpScraper, ScrapingLimits
from pipeline.sourcemaps.stores.contract import ArtifactStore
from pipeline.sourcemaps.stores.folder_store import FolderStore

log = logging.getLogger(__name__)


def open_artifacts(options: ArtifactSettings) -> Artifacts:
    """Open the store that the settings name, with its caches. Raises SettingsError where they name none."""
    store = open_store(options)
    if isinstance(store, FolderStore) and not store.folder.is_dir():
        log.warning("%s: no such folder; until it is there, frames stay minified", store.folder)
    limits = CacheLimits(
        memory_bytes=options.memory_bytes,
        max_file_bytes=options.max_file_bytes,
        poll_interval_s=options.poll_interval_s,
        retry_failed_s=options.retry_failed_s,
    )
    disk = None if isinstance(store, FolderStore) else _disk_cache(options)
    scraper = None
    if options.scrape_hosts:
        scraping = ScrapingLimits(max_file_bytes=options.max_file_bytes, timeout_s=options.scrape_timeout_s)
        scraper = HttpScraper(options.scrape_hosts, scraping)
    engine, probe = _engine(options)
    return Artifacts(store, engine, probe=probe, disk=disk, scraper=scraper, limits=limits)


def _engine(options: ArtifactSettings) -> tuple[Engine, Probe | None]:
    """Give the engine and, for the one that hostile files can kill, the probe. Each is loaded only where it is used."""
    if options.engine == "symbolic":
        try:
            from pipeline.sourcemaps.engines.symbolic_engine import SymbolicEngine  # noqa: PLC0415
        except ImportError as error:
            log.warning("symbolic cannot be loaded, so frames get positions and no scope names: %s", error)
        else:
            return SymbolicEngine(), Probe(options.parse_cpu_s, options.parse_memory_bytes)
    from pipeline.sourcemaps.engines.sourcemap_engine import SourcemapEngine  # noqa: PLC0415

    return SourcemapEngine(), None


def open_store(options: ArtifactSettings) -> ArtifactStore:
    """Open the store alone. Raises SettingsError where the settings name none."""
    if not options.url:
        raise SettingsError("no artifact store is configured: give --artifacts, or artifacts.url in the settings")
    if "://" not in options.url:
        return FolderStore(Path(options.url))
    if options.url.startswith("file://"):
        return FolderStore(Path(options.url.removeprefix("file://")))
    from pipeline.sourcemaps.stores.object_store import open_object_store  # noqa: PLC0415 -- a folder does without

    try:
        return open_object_store(options.url, timeout_s=options.store_timeout_s, relist_s=options.relist_interval_s)
    except ValueError as error:
        raise SettingsError(f"artifacts.url: {error}") from None


def _disk_cache(options: ArtifactSettings) -> DiskCache | None:
    try:
        return DiskCache(Path(options.cache_dir).expanduser(), options.cache_bytes)
    except OSError as error:
        log.warning("no disk cache for artifacts: %s", error)
        return None
