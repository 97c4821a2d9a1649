"""Processing error: an entry of an event's `errors`, naming what was repaired (spec/ingest.md, section 3)."""

from __future__ import annotations

import json
from typing import Any

_MAX_SHOWN = 200
_STORABLE = 2**63


def invalid_data(name: str, value: Any) -> dict[str, Any]:
    """Give the entry for a value that could not be used. `name` is its dotted path in the event.

    A short value is kept as it was sent; of others, people see what `describe` says.
    """
    is_kept = isinstance(value, bool) or (isinstance(value, int | float) and abs(value) < _STORABLE)
    return {"type": "invalid_data", "name": name, "value": value if is_kept else describe(value)}


def describe(value: Any) -> str:
    """Show a value that a stranger sent: its text or its kind, never more than a line of it."""
    if isinstance(value, dict | list | bytes):
        return {dict: "an object", list: "a list", bytes: "bytes"}[type(value)]
    text = value if isinstance(value, str) else json.dumps(value, default=repr)
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 3] + "..."


def add_errors(event: dict[str, Any], errors: list[dict[str, Any]]) -> None:
    """Add to the event's `errors`; where the sender put something else there, that is an error too."""
    if not errors:
        return
    sent = event.get("errors")
    if isinstance(sent, list):
        errors = sent + errors
    elif sent is not None:
        errors = [*errors, invalid_data("errors", sent)]
    event["errors"] = errors
