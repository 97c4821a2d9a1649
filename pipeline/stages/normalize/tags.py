"""Tags: a list of [key, value] pairs of strings, limited in number and length. A refused key or value becomes null."""

from __future__ import annotations

import re
from typing import Any

from pipeline.model.event_path import EventPath
from pipeline.stages.normalize.remarks import Remarks
from pipeline.stages.normalize.values import as_text, trim

MAX_TAGS = 200
"""How many tags an event keeps. SDKs send about a dozen."""

LIMIT = 200
"""Length of a key and of a value in characters."""

_NO_KEY_CHARACTER = re.compile(r"[^a-zA-Z0-9_.:-]")
_RESERVED = frozenset({"release", "dist", "user", "filename", "function"})
"""Names of tags that only the pipeline may set."""

Pair = list[str | None]


def entries(value: Any, path: EventPath, remarks: Remarks) -> list[Any]:
    """Return the tags as they were sent. An object becomes pairs, sorted by key."""
    if type(value) is dict:
        return [[key, value[key]] for key in sorted(value)]
    if type(value) is list:
        return value
    if value is not None:
        remarks.invalid(path, "expected an array", value)
    return []


def key_of(entry: Any) -> str | None:
    """Return an entry's key as text, or None if the entry is not a pair."""
    return as_text(entry[0]) if type(entry) is list and len(entry) == 2 else None


def settle_tags(
    sent: list[tuple[int, Any]], path: EventPath, remarks: Remarks, limit: int | None = MAX_TAGS
) -> tuple[list[Pair | None], list[int]]:
    """Return the tags that are kept, and the place at which each was sent. `sent` are places and tags.

    Kept are the first of equal keys, none of the reserved ones, at most `limit`. What is refused is null in its place, and named
    by the place where it is stored.
    """
    result: list[Pair | None] = []
    places: list[int] = []
    seen: set[str] = set()
    for place, entry in sent:
        if entry is None:
            continue
        key = key_of(entry)
        if key is not None:
            key = key.replace(" ", "-") if " " in key else key
            if key in _RESERVED or key in seen:
                continue
            seen.add(key)
        if limit is not None and len(result) >= limit:
            remarks.shortened(path, len(sent))
            break
        where = (path, len(result))
        places.append(place)
        if type(entry) is not list or len(entry) != 2:
            remarks.invalid(where, "expected a tuple", entry)
            result.append(None)
            continue
        key_path, value_path = (where, 0), (where, 1)
        if key is None:
            _refuse(entry[0], key_path, remarks)
        value = as_text(entry[1])
        if value is None:
            _refuse(entry[1], value_path, remarks)
        result.append([_key(key, key_path, remarks), _value(value, value_path, remarks)])
    return result, places


def _refuse(raw: Any, path: EventPath, remarks: Remarks) -> None:
    if raw is not None:
        remarks.invalid(path, "expected a primitive value", raw)


def _key(key: str | None, path: EventPath, remarks: Remarks) -> str | None:
    if key is None:
        return None
    if not key:
        remarks.invalid(path, "expected a non-empty value")
        return None
    if (bad := _NO_KEY_CHARACTER.search(key)) is not None:
        remarks.invalid(path, f"invalid character {bad[0]!r}", key)
        return None
    return key if len(key) <= LIMIT else trim(key, path, remarks, LIMIT)


def _value(value: str | None, path: EventPath, remarks: Remarks) -> str | None:
    if value is None:
        return None
    stripped = value.strip()
    if not stripped:
        remarks.invalid(path, "expected a non-empty value")
        return None
    if "\n" in stripped:
        remarks.invalid(path, "invalid character '\\n'", value)
        return None
    return stripped if len(stripped) <= LIMIT else trim(stripped, path, remarks, LIMIT)
