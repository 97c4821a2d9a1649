"""Removes values that a normalized event may have and a storage message may not have."""

from __future__ import annotations

from typing import Any

from pipeline.model.event import Event, Frame, as_json, exceptions, frame_slots
from pipeline.model.known_stack import SettledStack
from pipeline.model.processing_error import add_errors, invalid_data
from pipeline.model.storage_message import LAST_LINE, REFUSED_ALIASES

MAX_NAMED = 100
"""At most so many nulled values are named in an event's `errors`."""


def fit_storage(event: Event) -> None:
    """Null in place the values that readers cannot hold, and name them in the event's `errors`.

    Cost: two look-ups a frame. Running twice gives the same result.
    """
    json = as_json(event)
    for name in REFUSED_ALIASES:
        json.pop(name, None)
    json.pop("sample_rate", None)  # the sender's is about transactions; count sets the one of an event
    if event.get("type") == "transaction":
        event["type"] = "default"
    errors: list[dict[str, Any]] = []
    for at, exception in enumerate(exceptions(event)):
        if type(exception.get("stacktrace")) is SettledStack:
            continue  # its lines fit, else it would not have been settled
        for index, frame in enumerate(frame_slots(exception.get("stacktrace"))):
            if frame:
                _fit_lines(frame, f"exception.values.{at}.stacktrace.frames.{index}", errors)
    add_errors(json, errors[:MAX_NAMED])


def _fit_lines(frame: Frame, path: str, errors: list[dict[str, Any]]) -> None:
    if (line := frame.get("lineno")) is not None and not 0 <= line < LAST_LINE:
        errors.append(invalid_data(f"{path}.lineno", line))
        frame["lineno"] = None
    if (column := frame.get("colno")) is not None and not 0 <= column < LAST_LINE:
        errors.append(invalid_data(f"{path}.colno", column))
        frame["colno"] = None
