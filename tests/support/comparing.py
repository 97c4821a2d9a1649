"""Comparing events with what another system made of them: null and missing are equal."""

from __future__ import annotations

from typing import Any


def without_nulls(value: Any) -> Any:
    """Drop nulls out of objects, at every depth; items of lists keep their places."""
    if isinstance(value, dict):
        return {key: without_nulls(child) for key, child in value.items() if child is not None}
    if isinstance(value, list):
        return [without_nulls(child) for child in value]
    return value


def drop_path(value: dict[str, Any], path: str) -> None:
    """Remove what stands at a dotted path, if anything does."""
    *parents, last = path.split(".")
    for key in parents:
        value = value.get(key) or {}
    value.pop(last, None)


def error_set(event: dict[str, Any]) -> set[tuple[Any, Any]]:
    """Return an event's errors as what is compared: name and type."""
    return {(error.get("name"), error.get("type")) for error in event.get("errors") or ()}
