"""Tags: always a list of [key, value] pairs of strings, searchable and bounded."""

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

Pairs = list[list[str | None]]


def tags(value: Any, path: Path, report: Report) -> Pairs:
    """Give the tags as pairs of printed values; an object's are sorted by key. A part that is refused is null."""
    if type(value) is dict:
        entries: list[Any] = [[key, value[key]] for key in sorted(value)]
    elif type(value) is list:
        entries = value
    else:
        if value is not None:
            report.invalid(path, "expected an array", value)
        return []
    result: Pairs = []
    for index, entry in enumerate(entries):
        where = (path, index)
        if type(entry) is list and len(entry) == 2:
            result.append([_primitive(entry[0], (where, 0), report), _primitive(entry[1], (where, 1), report)])
        elif entry is not None:
            report.invalid(where, "expected a tuple", entry)
    return result


def settle_tags(pairs: Pairs, path: Path, report: Report, limit: int | None = MAX_TAGS) -> Pairs:
    """Give the tags that stay: the first of equal keys, none of the reserved ones, at most `limit`, all of them searchable."""
    result: Pairs = []
    seen: set[str] = set()
    for sent, value in pairs:
        key = sent.replace(" ", "-") if sent is not None and " " in sent else sent
        if key is not None:
            if key in _RESERVED or key in seen:
                continue
            seen.add(key)
        if limit is not None and len(result) >= limit:
            report.shortened(path, len(pairs))
            break
        where = (path, len(result))
        result.append([_key(key, (where, 0), report), _value(value, (where, 1), report)])
    return result


def _primitive(raw: Any, path: Path, report: Report) -> str | None:
    result = printed(raw)
    if result is None and raw is not None:
        report.invalid(path, "expected a primitive value", raw)
    return result


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
