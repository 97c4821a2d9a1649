"""Timestamps: read from numbers and ISO 8601 text, and corrected where the sender's clock cannot be right."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from pipeline.stages.normalize.report import Path, Report

LATEST = 253402300799.0
"""The last second of the year 9999."""

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
    micros = int((fraction or "0")[:6].ljust(6, "0"))
    try:
        moment = datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), min(int(second or 0), 59), micros, _zone(zone)
        )
        return (moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(seconds=1)
    except (ValueError, OverflowError):
        return None


def _zone(text: str | None) -> timezone:
    if text is None or text in "Zz":
        return UTC
    sign = -1 if text[0] == "-" else 1
    return timezone(sign * timedelta(hours=int(text[1:3]), minutes=int(text[-2:])))
