"""The entries of an event's `errors` about frames that could not be resolved (docs/spec/source-maps.md, "Errors")."""

from __future__ import annotations

from typing import Any

from pipeline.model.event import Event
from pipeline.sourcemaps.module import Module, Problem

SENTRY_TYPES = {
    "missing_source": "js_no_source",
    "missing_sourcemap": "js_no_source",
    "malformed_sourcemap": "js_invalid_source",
    "unparsable_source": "js_invalid_source",
    "missing_source_content": "js_missing_sources_content",
    "invalid_location": "js_invalid_sourcemap_location",
}
"""Maps Symbolicator's kinds to Sentry's types. `unparsable_source` (a file that would kill the parser) is this project's own."""


class EventErrors:
    """The errors of one event, in the order of its frames. Each kind occurs once for each file."""

    def __init__(self) -> None:
        self._errors: dict[tuple[object, ...], dict[str, Any]] = {}

    def add_problems(self, module: Module) -> None:
        """Add the reasons why a module could not be used, or only in part."""
        for problem in (module.problem, module.warning):
            if problem is not None:
                self._add((module.key.url, problem.kind), problem.kind, _fields(problem))

    def add_invalid_location(self, url: str, line: int, column: int) -> None:
        """Add an error for a position of `url` at which the map has no token."""
        self._add((url, line, column), "invalid_location", {"column": column, "row": line, "source": url})

    def add_missing_source_content(self, module: Module, source: str) -> None:
        """Add an error for an original file that neither the map nor the artifacts hold."""
        fields = {"source": source, "sourcemap": module.map_url}
        self._add((module.key.url, source), "missing_source_content", fields)

    def _add(self, identity: tuple[object, ...], kind: str, fields: dict[str, Any]) -> None:
        self._errors.setdefault(identity, {"type": SENTRY_TYPES[kind], "symbolicator_type": kind, **fields})

    def write_to(self, event: Event) -> None:
        """Write the errors into the event. They replace those of an earlier attempt, and others stay."""
        listed = event.get("errors")
        others = [error for error in listed or () if error.get("symbolicator_type") not in SENTRY_TYPES]
        errors = others + list(self._errors.values())
        if errors:
            event["errors"] = errors
        elif listed:
            del event["errors"]


def _fields(problem: Problem) -> dict[str, Any]:
    fields = {"url": problem.url}
    if problem.reason is not None:
        fields["reason"] = problem.reason
    return fields
