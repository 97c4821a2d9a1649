"""Finds the files of modules in a project's bundles, or fetches them if scraping is on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from pipeline.model.byte_bounded_lru import ByteBoundedLru
from pipeline.sourcemaps.bundle import DamagedBundleError, TooLargeError, read_bundled_file
from pipeline.sourcemaps.disk_cache import DiskCache
from pipeline.sourcemaps.map_references import without_byte_order_mark
from pipeline.sourcemaps.module import Attempt, EventBuild
from pipeline.sourcemaps.project_index import FoundFile, ProjectIndex
from pipeline.sourcemaps.source_text import SourceText
from pipeline.sourcemaps.stores.contract import ArtifactStore, StoreUnavailableError
from pipeline.sourcemaps.urls import is_web_url, lookup_urls


class ScrapedFile(NamedTuple):
    """A fetched file, or None and the reason. `reason` is `not_found`, `disallowed`, `too_large`, `timeout` or `failed`."""

    content: bytes | None
    reason: str | None = None


class Scraper(Protocol):
    """Fetches built files from the servers that browsers get them from."""

    def fetch(self, url: str) -> ScrapedFile:
        """Return a file, or the result of an earlier attempt. Raises nothing."""


@dataclass(frozen=True, slots=True)
class File:
    """A file and how it was found. `text_key` finds its text in memory again. `url` is the name in the bundle.

    `asked_url` is the URL that it was found for, None if it was found by debug id alone.

    If `is_single`, it was not found in a bundle. Its own comments then count for more.
    """

    text: SourceText
    text_key: str
    resolved_with: str
    url: str
    headers: Mapping[str, str]
    is_single: bool
    asked_url: str | None
    debug_id: str | None = None


@dataclass(frozen=True, slots=True)
class Unusable:
    """A file that is missing or cannot be read. `reason` is a word for programs, or None if the file is merely missing."""

    detail: str
    reason: str | None = None
    is_temporary: bool = False


class ArtifactFiles:
    """Finds and reads files. Up to `memory_bytes` of them stay in memory, and those of a distant store also on the disk."""

    def __init__(
        self, store: ArtifactStore, *, memory_bytes: int, max_file_bytes: int, disk: DiskCache | None, scraper: Scraper | None
    ) -> None:
        self._store = store
        self._max_file_bytes = max_file_bytes
        self._disk = disk
        self._scraper = scraper
        self._texts: ByteBoundedLru[str, SourceText] = ByteBoundedLru(memory_bytes)

    def peek(self, text_key: str) -> SourceText | None:
        """Return a text if it is in memory."""
        text = self._texts.get(text_key)
        if text is not None:  # its cost grows with use
            self._texts.put(text_key, text, text.cost_bytes)
        return text

    def find(
        self,
        index: ProjectIndex,
        build: EventBuild,
        url: str | None,
        *,
        debug_id: str | None,
        file_type: str,
        attempted: Callable[[Attempt], None],
        otherwise: Sequence[str] = (),
    ) -> File | Unusable:
        """Return a file, found by its debug id or by a name that it may have been uploaded under.

        `otherwise` are URLs that are tried in the bundles if there is no file of that debug id and `url`.
        `attempted` is called for each attempt. Raises nothing: if the store does not answer, the result is an Unusable.
        """
        found = index.find(build, lookup_urls(url) if url is not None else (), debug_id=debug_id, file_type=file_type)
        for other in otherwise if found is None else ():
            found = index.find(build, lookup_urls(other), debug_id=None, file_type=file_type)
            if found is not None:
                url = other
                break
        if found is None:
            missing = self._scrape(url, attempted)
            if isinstance(missing, Unusable) and index.out_of_date is not None:
                return Unusable(index.out_of_date, "store_unavailable", is_temporary=True)
            return missing
        try:
            text_key, text = self._read(build.project_id, found)
        except TooLargeError as error:
            return Unusable(str(error), "too_large")
        except DamagedBundleError as error:
            return Unusable(str(error), "damaged_bundle")
        except (StoreUnavailableError, OSError) as error:
            return Unusable(str(error), "store_unavailable", is_temporary=True)
        attempted(Attempt(url or found.file.url, "not_attempted"))
        file = found.file
        return File(
            text, text_key, found.resolved_with, file.url, file.headers, found.bundle.is_release_files, url, file.debug_id
        )

    def _scrape(self, url: str | None, attempted: Callable[[Attempt], None]) -> File | Unusable:
        if url is None or not is_web_url(url):
            return Unusable("not among the artifacts")
        if self._scraper is None:
            attempted(Attempt(url, "failure", "disabled"))
            return Unusable("not among the artifacts")
        scraped = self._scraper.fetch(url)
        if scraped.content is None:
            attempted(Attempt(url, "failure", scraped.reason))
            return Unusable(f"not among the artifacts; fetching it: {scraped.reason}", is_temporary=True)
        attempted(Attempt(url, "success"))
        text, text_key = SourceText(without_byte_order_mark(scraped.content)), f"scraped/{url}"
        self._texts.put(text_key, text, text.cost_bytes)
        return File(text, text_key, "scraping", url, {}, is_single=True, asked_url=url)

    def _read(self, project_id: int, found: FoundFile) -> tuple[str, SourceText]:
        name = f"{project_id}/{found.bundle.stored.name}/{found.bundle.stored.version}/{found.file.member.name}"
        text = self._texts.get(name)
        if text is None:
            data = self._disk.get(name) if self._disk is not None else None
            if data is None:
                with self._store.open(project_id, found.bundle.stored) as file:
                    data = read_bundled_file(file, found.file.member, self._max_file_bytes)
                if self._disk is not None:
                    self._disk.put(name, data)
            text = SourceText(without_byte_order_mark(data))
            self._texts.put(name, text, text.cost_bytes)
        return name, text
