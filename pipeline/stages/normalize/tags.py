"""Tags: always a list of [key, value] pairs of strings, searchable and bounded."""

from __future__ import annotations

import re
from typing import Any

from pipeline.stages.normalize.report import Path, Report
from pipeline.stages.normalize.values import printed, trim

MAX_TAGS = 200
LIMIT = 200
"""Characters of a key and of a value."""

_KEY = re.compile(r"[a-zA-Z0-9_.:-]+")
_RESERVED = frozenset({"release", "dist", "user", "filename", "function"})
"""Names that the storage message fills in itself."""


def tags(value: Any, path: Path, report: Report) -> list[list[str | None]]:
    """Give the tags as pairs; an object's are sorted by key. The first of equal keys stays. A part that is refused is null."""
    if type(value) is dict:
        entries: list[Any] = [[key, value[key]] for key in sorted(value)]
    elif type(value) is list:
        entries = value
    else:
        if value is not None:
            report.invalid(path, "expected an array", value)
        return []
    result: list[list[str | None]] = []
    seen: set[str] = set()
    for index, entry in enumerate(entries):
        where = (path, index)
        pair = _pair(entry, where, report)
        if pair is None:
            continue
        key = _key(pair[0], (where, 0), report)
        if key is not None:
            if key in _RESERVED or key in seen:
                continue
            seen.add(key)
        if len(result) >= MAX_TAGS:
            report.shortened(path, len(entries))
            break
        result.append([key, _value(pair[1], (where, 1), report)])
    return result


def _pair(entry: Any, path: Path, report: Report) -> list[Any] | None:
    if type(entry) is list and len(entry) == 2:
        return entry
    if type(entry) is dict and "key" in entry:
        return [entry["key"], entry.get("value")]
    if entry is not None:
        report.invalid(path, "expected a tag", entry)
    return None


def _key(raw: Any, path: Path, report: Report) -> str | None:
    key = _primitive(raw, path, report)
    if key is None:
        return None
    key = key.strip()
    if not key:
        report.invalid(path, "expected a non-empty value")
        return None
    if _KEY.fullmatch(key) is None:
        key = key.replace(" ", "-")
        if _KEY.fullmatch(key) is None:
            report.invalid(path, "invalid characters in string", raw)
            return None
    return trim(key, path, report, LIMIT)


def _value(raw: Any, path: Path, report: Report) -> str | None:
    value = _primitive(raw, path, report)
    if value is None:
        return None
    value = value.strip()
    if not value:
        report.invalid(path, "expected a non-empty value")
        return None
    if "\n" in value:
        report.invalid(path, "invalid character '\\n'", raw)
        return None
    return trim(value, path, report, LIMIT)


def _primitive(raw: Any, path: Path, report: Report) -> str | None:
    result = printed(raw)
    if result is None and raw is not None:
        report.invalid(path, "expected a primitive value", raw)
    return result
