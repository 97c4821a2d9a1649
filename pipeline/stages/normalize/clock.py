"""Clock correction: an event from the future or from long ago is moved to the time when it was received."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pipeline.stages.normalize.remarks import Remarks
from pipeline.stages.normalize.timestamps import LATEST, timestamp


def correct_clock(
    event: dict[str, Any], result: dict[str, Any], remarks: Remarks, *, max_s_in_future: float, max_s_in_past: float
) -> None:
    """Set `timestamp`. If the sender's clock is out of bounds, shift it and the breadcrumbs by the difference."""
    received = result["received"]
    path = (None, "timestamp")
    found = timestamp(event.get("timestamp"), path, remarks)
    if found is None:
        result["timestamp"] = received
        return
    result["timestamp"] = found
    if found > received + max_s_in_future:
        kind = "future_timestamp"
    elif found < received - max_s_in_past:
        kind = "past_timestamp"
    else:
        return
    remarks.error(path, kind, sdk_time=_iso(found), server_time=_iso(received))
    drift = received - found
    result["timestamp"] = received
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
