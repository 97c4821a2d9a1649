"""The path of a value in an event."""

from __future__ import annotations

from typing import Any

EventPath = tuple[Any, str | int] | None
"""The path of the container, and the key or index in it. A linked list, because most paths are built and never read."""


def path_keys(path: EventPath) -> list[str]:
    """Unroll a path into its keys, outermost first."""
    keys: list[str] = []
    while path is not None:
        path, key = path
        keys.append(str(key))
    keys.reverse()
    return keys
