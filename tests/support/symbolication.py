"""Resolve an event the way the stage does, without the rest of the pipeline."""

from __future__ import annotations

from typing import Any

from pipeline.sourcemaps.artifacts import Artifacts
from pipeline.sourcemaps.plan import plan_event
from pipeline.sourcemaps.resolve import FrameCounts, resolve_event


def resolve(artifacts: Artifacts, event: dict[str, Any], project_id: int = 7) -> FrameCounts:
    """Resolve an event in place."""
    plan = plan_event(event, project_id)
    if plan is None:
        return FrameCounts(0, 0)
    return resolve_event(event, plan, artifacts.look_up(plan.module_keys), artifacts.source)


def kinds(event: dict[str, Any]) -> list[str]:
    """Give the kinds of an event's errors."""
    return [error["symbolicator_type"] for error in event.get("errors", [])]
