"""Titles: how an event is named to people, and where it says that it happened.

See docs/spec/normalization.md, "Titles". All functions take a normalized event.
"""

from __future__ import annotations

from typing import Any

from pipeline.model.event import Event, ExceptionValue, Frame, exceptions, frames_besides_exceptions, frames_in, newest_of_app

MAX_TITLE = 100
MAX_CULPRIT = 200
MAX_TYPE = 128
MAX_VALUE = 1024

_NATIVE = frozenset({"objc", "cocoa", "native"})
_NAMELESS = frozenset({None, "", "<redacted>", "<unknown>"})


def name_event(event: Event, rule_title: str | None = None) -> None:
    """Set `metadata`, `title`, `culprit` and `location` of an event.

    The event must be grouped, because grouping decides which frames belong to the app. `rule_title` is the title of a fingerprint
    rule, and wins. A culprit that the sender named wins too.
    """
    found = metadata(event)
    event["metadata"] = found
    event["title"] = rule_title or title(event.get("type"), found)
    event["culprit"] = event.get("culprit") or event.get("transaction") or culprit(event)
    if "filename" in found:
        event["location"] = found["filename"]


def metadata(event: Event) -> dict[str, Any]:
    """Return what the title is made of: `{type?, value, filename?, function?}` for errors, else `{title}`."""
    found = exceptions(event)
    exception = _main_exception(event, found)
    if event.get("type") == "error" and exception is not None:
        result: dict[str, Any] = {"value": cut(exception.get("value") or "", MAX_VALUE)}
        if not (exception.get("mechanism") or {}).get("synthetic"):
            result["type"] = cut(exception.get("type") or "Error", MAX_TYPE)
        frame = _named_crash_frame(event, found)
        if frame is not None:
            filename = frame.get("filename") or frame.get("abs_path")
            if filename:
                result["filename"] = filename
            result["function"] = frame.get("function")
        return result
    entry = event.get("logentry") or {}
    message = (entry.get("formatted") or entry.get("message") or "").strip()
    return {"title": cut(_first_line(message), MAX_TITLE) if message else "<unlabeled event>"}


def title(event_type: str | None, found: dict[str, Any]) -> str:
    """Return the title for metadata: `type: first line of value`, or the first line of the message."""
    if event_type != "error":
        return found.get("title") or "<unlabeled event>"
    name = found.get("type")
    if name is not None:
        value = found.get("value")
        return f"{name}: {cut(_first_line(value), MAX_TITLE)}" if value else name
    return found.get("function") or "<unknown>"


def culprit(event: Event) -> str:
    """Return the place at fault: the newest frame of the app, else the newest frame, else the URL of the request."""
    if event.get("type") == "nel":
        return ((event.get("contexts") or {}).get("nel") or {}).get("error_type") or "<missing>"
    found = exceptions(event)
    if found and (found[-1].get("mechanism") or {}).get("synthetic"):
        return ""
    stacks = [one.get("stacktrace") for one in found] if found else [event.get("stacktrace")]
    frames = next((frames for stack in reversed(stacks) if (frames := frames_in(stack))), [])
    return cut(_stack_culprit(frames, event.get("platform")) or (event.get("request") or {}).get("url") or "", MAX_CULPRIT)


def cut(text: str, limit: int) -> str:
    """Return a text of at most `limit` characters. A longer one ends in three dots."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _first_line(text: str) -> str:
    lines = text.splitlines()
    return lines[0] if lines else ""


def says_something(exception: ExceptionValue) -> bool:
    """Whether an exception has a message or a stack. Some runtimes and frameworks hang one without either onto another one."""
    return bool((exception.get("value") or "").strip() or frames_in(exception.get("stacktrace")))


def _main_exception(event: Event, found: list[ExceptionValue]) -> ExceptionValue | None:
    """Return the exception that the event is named after: the one that grouping marked as main, else the last."""
    main = event.get("main_exception_id")
    if main is not None:
        for one in found:
            if (one.get("mechanism") or {}).get("exception_id") == main:
                return one
    return next((one for one in reversed(found) if says_something(one)), found[-1] if found else None)


def _named_crash_frame(event: Event, found: list[ExceptionValue]) -> Frame | None:
    """Return the newest frame of the app that has a function name, else the newest one with a name."""
    frames = (frames_in(found[-1].get("stacktrace")) if found else []) or frames_besides_exceptions(event)
    return newest_of_app([frame for frame in frames if frame.get("function") not in _NAMELESS])


def _stack_culprit(frames: list[Frame], platform: str | None) -> str | None:
    newest = None
    for frame in reversed(frames):
        if frame.get("in_app"):
            place = _frame_culprit(frame, platform)
            if place:
                return place
        elif newest is None:
            newest = _frame_culprit(frame, platform)
    return newest


def _frame_culprit(frame: Frame, platform: str | None) -> str:
    platform = frame.get("platform") or platform
    function = frame.get("function") or "?"
    if platform in _NATIVE:
        return function
    place = frame.get("module") or frame.get("filename")
    if not place:
        return ""
    return f"{function}({place})" if platform in {"javascript", "node"} else f"{place} in {function}"
