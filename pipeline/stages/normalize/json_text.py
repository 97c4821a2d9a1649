"""Values as JSON text, and how large that text would be, for values that strangers made."""

from __future__ import annotations

import json
from typing import Any

import orjson


def to_json_text(value: Any) -> str | None:
    """Print a value as compact JSON, or None where it is nested too deep to be printed."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # integers beyond 64 bits, or nested deeper than orjson goes
        try:
            return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        except (RecursionError, ValueError):
            return None


def estimate_size(value: Any, enough: int) -> int:
    """Count roughly the bytes of a value's JSON; stops counting at `enough`."""
    size = 0
    pending = [value]
    while pending and size < enough:
        current = pending.pop()
        if isinstance(current, str):
            size += len(current) + 2
        elif isinstance(current, dict):
            size += 2
            for key, child in current.items():
                size += len(key) + 4
                pending.append(child)
                if size >= enough:
                    break
        elif isinstance(current, list):
            size += 2 + len(current)
            pending.extend(current[:enough])
        elif isinstance(current, int) and not isinstance(current, bool):
            size += 1 + current.bit_length() // 3
        else:
            size += 4
    return size
