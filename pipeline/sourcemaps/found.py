"""What a look-up asks for and what it comes back with. Failure is data: a `Problem` goes into the event's errors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from pipeline.sourcemaps.engine import ParsedMap
from pipeline.sourcemaps.source_text import SourceText

_MAX_ATTEMPTS = 1_000
"""Noted per module; a map may name a million sources."""


class Origin(NamedTuple):
    """Where an event comes from: all that decides which artifacts it may see. `debug_ids` are those of its images, sorted."""

    project_id: int
    release: str | None
    dist: str | None
    debug_ids: tuple[str, ...] = ()


class ModuleKey(NamedTuple):
    """One built file of an event: `url` is the frames' abs_path without `async `, `debug_id` that of its image."""

    origin: Origin
    url: str
    debug_id: str | None


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something could not be resolved. `kind` is symbolicator's word, `detail` says it to a person.

    `reason` is a machine's word for what symbolicator has none for, such as a broken limit.
    """

    kind: str
    url: str
    detail: str = ""
    reason: str | None = None


class Attempt(NamedTuple):
    """A file that was wanted, and whether the store had it: `not_attempted` means that nothing had to be fetched elsewhere."""

    url: str
    status: str
    reason: str | None = None

    @property
    def was_fetched(self) -> bool:
        """Say whether a public server was asked, or would have been if that were allowed."""
        return self.status != "not_attempted" and self.reason != "disabled"

    def to_json(self) -> dict[str, str]:
        """Give the entry of an event's `scraping_attempts`."""
        return {name: value for name, value in self._asdict().items() if value is not None}


class Source(NamedTuple):
    """What a frame in an original file is called."""

    filename: str
    abs_path: str
    module: str | None
    in_app: bool | None


@dataclass(slots=True)
class Module:
    """A built file with its map, as far as they were found.

    `map` is None both for a plain source file, which has no `problem`, and where something failed, which has one.
    `source_base` is what the map's source names are relative to. `warning` is a problem that costs only the function names.
    """

    key: ModuleKey
    minified: SourceText | None = None
    text_key: str | None = None
    reference: str | None = None
    """How the built file names its map; `data:` alone for one that it carries."""
    map: ParsedMap | None = None
    map_key: bytes | None = None
    map_url: str | None = None
    source_base: str = ""
    resolved_with: str | None = None
    problem: Problem | None = None
    warning: Problem | None = None
    is_temporary: bool = False
    """It failed for a reason that may pass without any change to the artifacts."""
    attempts: dict[str, Attempt] = field(default_factory=dict)
    """By URL."""
    sources: dict[str, Source] = field(default_factory=dict)
    """Remembered by the source's name in the map."""

    def attempted(self, attempt: Attempt) -> None:
        """Note a file that was wanted."""
        if len(self.attempts) < _MAX_ATTEMPTS:
            self.attempts.setdefault(attempt.url, attempt)
