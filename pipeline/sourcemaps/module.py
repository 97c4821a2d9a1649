"""A module: one built file with its map, as far as they were found. A failure is a `Problem`, not an exception."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import NamedTuple

from pipeline.sourcemaps.engines.contract import ParsedMap
from pipeline.sourcemaps.source_text import SourceText
from pipeline.sourcemaps.urls import clean_source_name, generate_module, is_in_app, join_source

_WITH_MODULE = ("http:", "https:", "webpack:", "turbopack:", "app:")
_MAX_ORIGINAL_FILES = 1_000
"""How many original files are cached for each module, by the source's name in the map."""
_MAX_ATTEMPTS = 1_000
"""How many attempts are noted for each module. A map may name a million sources."""


class EventBuild(NamedTuple):
    """The build that an event comes from. It decides which artifacts apply.

    `debug_ids` are those of the event's images, sorted.
    """

    project_id: int
    release: str | None
    dist: str | None
    debug_ids: tuple[str, ...] = ()


class ModuleKey(NamedTuple):
    """One built file of an event. `url` is the frames' abs_path without `async `, and `debug_id` is that of its image."""

    build: EventBuild
    url: str
    debug_id: str | None


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something could not be resolved. `kind` is Symbolicator's word, `detail` a text for people.

    `reason` is a word for programs for cases that Symbolicator does not have, such as `too_large`.
    """

    kind: str
    url: str
    detail: str = ""
    reason: str | None = None


class Attempt(NamedTuple):
    """A file that was needed. `status` is `not_attempted` if the store had it, else `success` or `failure` of the download."""

    url: str
    status: str
    reason: str | None = None

    @property
    def was_fetched(self) -> bool:
        """Whether a public server was asked for the file, or would have been if its host were allowed."""
        return self.status != "not_attempted" and self.reason != "disabled"

    def to_json(self) -> dict[str, str]:
        """Return the entry of an event's `scraping_attempts`."""
        return {name: value for name, value in self._asdict().items() if value is not None}


class OriginalFile(NamedTuple):
    """The fields of a frame that describe its original file."""

    filename: str
    abs_path: str
    module: str | None
    in_app: bool | None


def describe_original_file(source_base: str, name: str) -> OriginalFile:
    """Return a frame's fields for the source `name` of a map at the URL `source_base`."""
    filename = clean_source_name(name)
    abs_path = join_source(source_base, name)
    if name.startswith(("webpack:", "turbopack:")):
        module: str | None = generate_module(filename)
    else:
        module = generate_module(abs_path) if abs_path.startswith(_WITH_MODULE) else None
    return OriginalFile(filename, abs_path, module, is_in_app(abs_path, filename))


def _original_files(source_base: str) -> Callable[[str], OriginalFile]:
    return lru_cache(_MAX_ORIGINAL_FILES)(partial(describe_original_file, source_base))


@dataclass(slots=True)
class Module:
    """A built file with its map, as far as they were found.

    Without a `map` and without a `problem`, the file is a plain source file. With a `problem`, something failed.
    `source_base` is the URL that the map's source names are relative to. `warning` is a problem that costs only function names.
    """

    key: ModuleKey
    minified: SourceText | None = None
    text_key: str | None = None
    reference: str | None = None
    """How the built file names its map. `data:` for a map inside the file."""
    map: ParsedMap | None = None
    map_key: bytes | None = None
    map_url: str | None = None
    source_base: str = ""
    resolved_with: str | None = None
    problem: Problem | None = None
    warning: Problem | None = None
    is_temporary: bool = False
    """Whether the failure may pass without a change of the artifacts."""
    attempts: dict[str, Attempt] = field(default_factory=dict)
    """By URL."""
    original_file: Callable[[str], OriginalFile] = field(default_factory=lambda: _original_files(""))
    """Describes a source of the map by its name there."""

    def map_found(self, map_url: str, resolved_with: str) -> None:
        """Note where the map is, and how it was found."""
        self.map_url = self.source_base = map_url
        self.resolved_with = resolved_with
        self.original_file = _original_files(map_url)

    def attempted(self, attempt: Attempt) -> None:
        """Note a file that was needed."""
        if len(self.attempts) < _MAX_ATTEMPTS:
            self.attempts.setdefault(attempt.url, attempt)
