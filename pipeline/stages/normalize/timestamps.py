"""Timestamps: read from numbers and ISO 8601 text, and corrected where the sender's clock cannot be right."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

from pipeline.model.path import Path
from pipeline.stages.normalize.report import Report

LATEST = 253402300799.0
"""The last second of the year 9999."""

_DAYS_BEFORE_1970 = date(1970, 1, 1).toordinal()

_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,12}))?\s?([Zz]|[+-]\d\d:?\d\d)?)?", re.ASCII
)  # fmt: skip


def timestamp(value: Any, path: Path, report: Report) -> float | None:
    """Take seconds since 1970, or ISO 8601 text (no zone = UTC); gives seconds with fractions."""
    if value is None:
        return None
    if type(value) is str:
        result = _from_text(value)
        if result is None:
            report.invalid(path, "input contains invalid characters", value)
        return result
    if type(value) in (int, float):
        if -LATEST <= value <= LATEST:
            return float(value)
        report.invalid(path, "timestamp out of range for calendar", value)
        return None
    report.invalid(path, "expected a timestamp", value)
    return None


def _from_text(value: str) -> float | None:
    match = _ISO.fullmatch(value.strip()) if len(value) <= 50 else None
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        days = date(int(year), int(month), int(day)).toordinal() - _DAYS_BEFORE_1970
    except ValueError:
        return None
    hours, minutes = int(hour or 0), int(minute or 0)
    offset_s = _offset_s(zone)
    if hours > 23 or minutes > 59 or offset_s is None:
        return None
    micros = int(fraction[:6].ljust(6, "0")) if fraction else 0
    seconds = ((days * 24 + hours) * 60 + minutes) * 60 + min(int(second or 0), 59) - offset_s
    return (seconds * 1_000_000 + micros) / 1_000_000


def _offset_s(zone: str | None) -> int | None:
    """Give what a zone is ahead of UTC; None for a day or more."""
    if zone is None or zone in "Zz":
        return 0
    offset_s = (int(zone[1:3]) * 60 + int(zone[-2:])) * 60
    if offset_s >= 86_400:
        return None
    return -offset_s if zone[0] == "-" else offset_s
