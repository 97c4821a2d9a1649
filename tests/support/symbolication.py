"""Resolve an event the way the stage does, without the rest of the pipeline."""

from __future__ import annotations

from typing import Any

from pipeline.sourcemaps.artifacts import Artifacts
from pipeline.sourcemaps.frame_selection import select_frames
from pipeline.sourcemaps.resolve import FrameCounts, resolve_event


def resolve(artifacts: Artifacts, event: Any, project_id: int = 7) -> FrameCounts:
    """Resolve an event in place."""
    selection = select_frames(event, project_id)
    if selection is None:
        return FrameCounts(0, 0)
    return resolve_event(event, selection, artifacts.look_up(selection.module_keys), artifacts.source)


def kinds(event: Any) -> list[str]:
    """Return the kinds of an event's errors."""
    return [error["symbolicator_type"] for error in event.get("errors", [])]
