"""Frames as fingerprints see them: which stack of an event counts, and which of its frames stands for the event."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeline.grouping.function_names import trim_function


def values_of(event: dict[str, Any], interface: str) -> list[dict[str, Any]]:
    """Give the objects of an interface's `values`; what is none is left out."""
    return [value for value in _values(event, interface) if isinstance(value, dict)]


def last_exception(event: dict[str, Any]) -> dict[str, Any] | None:
    """Give the last exception; None where there is none, and where the last one is null."""
    last = next(reversed(_values(event, "exception")), None)
    return last if isinstance(last, dict) else None


def _values(event: dict[str, Any], interface: str) -> list[Any]:
    container = event.get(interface)
    values = container.get("values") if isinstance(container, dict) else None
    return values if isinstance(values, list) else []


def frames_of(owner: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Give the frames of an exception, a thread or an event, the oldest first."""
    stacktrace = owner.get("stacktrace") if owner is not None else None
    frames = stacktrace.get("frames") if isinstance(stacktrace, dict) else None
    return [frame for frame in frames if isinstance(frame, dict)] if isinstance(frames, list) else []


def frames_besides_exceptions(event: dict[str, Any]) -> list[dict[str, Any]]:
    """Give the event's own stack, else that of its only thread."""
    frames = frames_of(event)
    if frames:
        return frames
    threads = values_of(event, "threads")
    return frames_of(threads[0]) if len(threads) == 1 else []


def all_frames(event: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give the frames of every exception; where there are none, those of the stack beside them."""
    found = False
    for exception in values_of(event, "exception"):
        for frame in frames_of(exception):
            found = True
            yield frame
    if not found:
        yield from frames_besides_exceptions(event)


def crash_frame(event: dict[str, Any]) -> dict[str, Any] | None:
    """Give the youngest frame in the app, else the youngest, of the last exception or the stack beside it."""
    frames = frames_of(last_exception(event)) or frames_besides_exceptions(event)
    youngest = frames[-1] if frames else None
    return next((frame for frame in reversed(frames) if frame.get("in_app")), youngest)


def function_of(frame: dict[str, Any], platform: str) -> str | None:
    """Give a frame's trimmed function name; where the SDK sent the raw one beside it, it trimmed the name itself."""
    name = frame.get("function")
    if not isinstance(name, str) or not name:
        return None
    if frame.get("raw_function"):
        return name
    own = frame.get("platform")
    return trim_function(name, own if isinstance(own, str) and own else platform)
