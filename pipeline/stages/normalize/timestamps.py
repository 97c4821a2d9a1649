"""Timestamps, parsed from numbers and ISO 8601 text."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

from pipeline.model.event_path import EventPath
from pipeline.stages.normalize.remarks import Remarks

LATEST = 253402300799.0
"""The last second of the year 9999."""

_AS_FLOAT = 2**1023
_DAYS_BEFORE_1970 = date(1970, 1, 1).toordinal()

_ZONE = "(?:[Zz]|[Uu][Tt][Cc]|[+\N{MINUS SIGN}-]\\d\\d ?:? ?\\d\\d)"
_ISO = re.compile(
    rf"(\d{{4}})-(\d\d?)-(\d\d?)(?:[Tt]| +(?=.*{_ZONE}\Z))(\d\d?):(\d\d?):(\d\d?)(?:\.(\d{{1,12}}))? *({_ZONE})?", re.ASCII
)
"""Blanks may stand for the T if a zone follows."""
_BEGUN = re.compile(r"(\d{1,4}(-(\d\d?(-(\d\d?([Tt](\d\d?(:(\d\d?:?)?)?)?)?)?)?)?)?)?", re.ASCII)
"""Matches an incomplete text of this form, for the error message."""


def timestamp(value: Any, path: EventPath, remarks: Remarks) -> float | None:
    """Parse seconds since 1970, or ISO 8601 text, in which no zone means UTC. Return seconds with fractions."""
    if value is None:
        return None
    if type(value) is str:
        text = value.strip()
        match = _ISO.fullmatch(text) if len(text) <= 50 else None
        if match is None:
            has_begun = len(text) <= 50 and _BEGUN.fullmatch(text)
            remarks.invalid(path, "premature end of input" if has_begun else "input contains invalid characters", value)
            return None
        result = _from_text(match)
        if result is None:
            remarks.invalid(path, "input is out of range", value)
        return result
    if type(value) in (int, float):
        if -LATEST <= value <= LATEST:
            return round(float(value), 6)
        remarks.invalid(path, "timestamp out of range", float(value) if abs(value) < _AS_FLOAT else value)
        return None
    remarks.invalid(path, "expected a timestamp", value)
    return None


def _from_text(match: re.Match[str]) -> float | None:
    """Return the time of a matched text, or None if there is no such date or time of day."""
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        days = date(int(year), int(month), int(day)).toordinal() - _DAYS_BEFORE_1970
    except ValueError:
        return None
    hours, minutes, seconds = int(hour), int(minute), int(second)
    offset_s = _offset_s(zone)
    if hours > 23 or minutes > 59 or seconds > 60 or offset_s is None:  # 60 is a leap second
        return None
    micros = round(float(f"0.{fraction}") * 1_000_000) if fraction else 0
    moment = ((days * 24 + hours) * 60 + minutes) * 60 + seconds - offset_s
    return (moment * 1_000_000 + micros) / 1_000_000


def _offset_s(zone: str | None) -> int | None:
    """Return how far a zone is ahead of UTC, or None for a day or more."""
    if zone is None or zone.upper() in {"Z", "UTC"}:
        return 0
    offset_s = (int(zone[1:3]) * 60 + int(zone[-2:])) * 60
    if offset_s >= 86_400:
        return None
    return offset_s if zone[0] == "+" else -offset_s
