"""Clock correction: times are moved by the drift of the sender's clock, and out of the future or from long ago to the arrival."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pipeline.stages.normalize.remarks import Remarks
from pipeline.stages.normalize.timestamps import LATEST, timestamp

MIN_DRIFT_S = 55 * 60
"""A clock that is less far off is believed. Networks are slow, and wrong time zones are off by an hour."""


def correct_clock(
    event: dict[str, Any],
    result: dict[str, Any],
    remarks: Remarks,
    *,
    sent_at: str | None = None,
    max_s_in_future: float,
    max_s_in_past: float,
) -> None:
    """Set `timestamp`. If the sender's clock is out of bounds, shift it and the breadcrumbs by the difference.

    `sent_at` is what the sender's clock said when the event was sent. If it is far off the arrival, all times are.
    """
    received = result["received"]
    path = (None, "timestamp")
    found = timestamp(event.get("timestamp"), path, remarks)
    if found is None:
        result["timestamp"] = received
        return
    result["timestamp"] = found
    clock = timestamp(sent_at, None, Remarks()) if sent_at is not None else None
    if clock is not None and abs(received - clock) >= MIN_DRIFT_S:
        remarks.error(path, "clock_drift", sdk_time=_iso(clock), server_time=_iso(received))
        _shift(result, received - clock)
        found = result["timestamp"]
    if found > received + max_s_in_future:
        kind = "future_timestamp"
    elif found < received - max_s_in_past:
        kind = "past_timestamp"
    else:
        return
    remarks.error(path, kind, sdk_time=_iso(found), server_time=_iso(received))
    _shift(result, received - found)
    result["timestamp"] = received


def _shift(result: dict[str, Any], drift: float) -> None:
    """Move all times of an event by so many seconds."""
    result["timestamp"] = min(round(result["timestamp"] + drift, 6), LATEST)
    if "start_timestamp" in result:
        result["start_timestamp"] = round(result["start_timestamp"] + drift, 6)
    for crumb in (result.get("breadcrumbs") or {}).get("values") or ():
        if crumb is not None and "timestamp" in crumb:
            crumb["timestamp"] = min(round(crumb["timestamp"] + drift, 6), LATEST)


def _iso(epoch_s: float) -> str:
    """Return a time as Relay writes it. Times before the year 1 have no such form."""
    try:
        return datetime.fromtimestamp(epoch_s, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return str(epoch_s)
