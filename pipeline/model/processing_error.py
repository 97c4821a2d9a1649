"""Processing errors: entries of an event's `errors`, which name what was repaired. See docs/spec/normalization.md."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

KINDS = (
    "invalid_data", "missing_attribute", "invalid_attribute", "value_too_long", "future_timestamp", "past_timestamp",
    "clock_drift", "js_no_source", "js_invalid_source", "js_invalid_sourcemap_location", "js_missing_sources_content",
)  # fmt: skip
"""Types of entries that the pipeline itself makes. Senders may send others."""
OTHER = "other"

_MAX_SHOWN = 200
_STORABLE = 2**63


def invalid_data(name: str, value: Any) -> dict[str, Any]:
    """Return the entry for a value that could not be used. `name` is its dotted path in the event.

    Numbers and booleans are kept as they were sent. Other values are shown by `describe`.
    """
    is_kept = isinstance(value, bool) or (isinstance(value, int | float) and abs(value) < _STORABLE)
    return {"type": "invalid_data", "name": name, "value": value if is_kept else describe(value)}


def describe(value: Any) -> str:
    """Return a description of a value in at most one line: a text itself, or the kind of any other value."""
    if isinstance(value, dict | list | bytes):
        return {dict: "an object", list: "a list", bytes: "bytes"}[type(value)]
    text = value if isinstance(value, str) else json.dumps(value, default=repr)
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 3] + "..."


def add_errors(event: dict[str, Any], errors: list[dict[str, Any]]) -> None:
    """Add entries to the event's `errors`. If the sender put something else there, that is an error too."""
    if not errors:
        return
    sent = event.get("errors")
    if isinstance(sent, list):
        errors = sent + errors
    elif sent is not None:
        errors = [*errors, invalid_data("errors", sent)]
    event["errors"] = errors


def count_kinds(events: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """Return how many of the events have an entry of each kind. Kinds that only senders know are counted as `OTHER`."""
    return Counter(
        kind
        for event in events
        for kind in {error["type"] if error["type"] in KINDS else OTHER for error in event.get("errors") or ()}
    )
