"""Tags: always a list of [key, value] pairs of strings, searchable and bounded; null where one was refused."""

from __future__ import annotations

import re
from typing import Any

from pipeline.model.path import Path
from pipeline.stages.normalize.report import Report
from pipeline.stages.normalize.values import printed, trim

MAX_TAGS = 200
"""Pairs of one event. SDKs send a dozen; each is a row of the storage."""

LIMIT = 200
"""Characters of a key and of a value."""

_NO_KEY_CHARACTER = re.compile(r"[^a-zA-Z0-9_.:-]")
_RESERVED = frozenset({"release", "dist", "user", "filename", "function"})
"""Names that the storage message fills in itself."""

Pair = list[str | None]


def entries(value: Any, path: Path, report: Report) -> list[Any]:
    """Give the tags as they were sent, one after the other; an object's are pairs, sorted by key."""
    if type(value) is dict:
        return [[key, value[key]] for key in sorted(value)]
    if type(value) is list:
        return value
    if value is not None:
        report.invalid(path, "expected an array", value)
    return []


def key_of(entry: Any) -> str | None:
    """Give the printed key of an entry; None for one that is no pair."""
    return printed(entry[0]) if type(entry) is list and len(entry) == 2 else None


def settle_tags(sent: list[Any], path: Path, report: Report, limit: int | None = MAX_TAGS) -> list[Pair | None]:
    """Give the tags that stay: the first of equal keys, none of the reserved ones, at most `limit`, all of them searchable.

    What is refused is null in its place, and named by the place where it is stored.
    """
    result: list[Pair | None] = []
    seen: set[str] = set()
    for entry in sent:
        if entry is None:
            continue
        key = key_of(entry)
        if key is not None:
            key = key.replace(" ", "-") if " " in key else key
            if key in _RESERVED or key in seen:
                continue
            seen.add(key)
        if limit is not None and len(result) >= limit:
            report.shortened(path, len(sent))
            break
        where = (path, len(result))
        if type(entry) is not list or len(entry) != 2:
            report.invalid(where, "expected a tuple", entry)
            result.append(None)
            continue
        key_path, value_path = (where, 0), (where, 1)
        if key is None:
            _refuse(entry[0], key_path, report)
        value = printed(entry[1])
        if value is None:
            _refuse(entry[1], value_path, report)
        result.append([_key(key, key_path, report), _value(value, value_path, report)])
    return result


def _refuse(raw: Any, path: Path, report: Report) -> None:
    if raw is not None:
        report.invalid(path, "expected a primitive value", raw)


def _key(key: str | None, path: Path, report: Report) -> str | None:
    if key is None:
        return None
    if not key:
        report.invalid(path, "expected a non-empty value")
        return None
    if (bad := _NO_KEY_CHARACTER.search(key)) is not None:
        report.invalid(path, f"invalid character {bad[0]!r}", key)
        return None
    return key if len(key) <= LIMIT else trim(key, path, report, LIMIT)


def _value(value: str | None, path: Path, report: Report) -> str | None:
    if value is None:
        return None
    stripped = value.strip()
    if not stripped:
        report.invalid(path, "expected a non-empty value")
        return None
    if "\n" in stripped:
        report.invalid(path, "invalid character '\\n'", value)
        return None
    return stripped if len(stripped) <= LIMIT else trim(stripped, path, report, LIMIT)
