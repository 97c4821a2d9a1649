"""JSON text of values, and the size of that text."""

from __future__ import annotations

import json
from typing import Any

import orjson


def to_json_text(value: Any) -> str | None:
    """Return a value as compact JSON, or None if it is nested too deep to be encoded."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # integers beyond 64 bits, or nested deeper than orjson goes
        try:
            return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        except (RecursionError, ValueError):
            return None


def estimate_size(value: Any, enough: int) -> int:
    """Return roughly the bytes of a value's JSON. Counting stops at `enough`."""
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
