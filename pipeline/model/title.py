"""Titles: how an event is named to people, and where it says that it happened (spec/ingest.md, end of section 3).

All take a normalized event, but trust nothing about it that a normalized event does not promise.
"""

from __future__ import annotations

from typing import Any

MAX_TITLE = 100
MAX_CULPRIT = 200
MAX_TYPE = 128
MAX_VALUE = 1024

_NATIVE = frozenset({"objc", "cocoa", "native"})
_NAMELESS = frozenset({None, "", "<redacted>", "<unknown>"})

Event = dict[str, Any]


def name_event(event: Event, rule_title: str | None = None) -> None:
    """Set `metadata`, `title`, `culprit` and `location` of a grouped event: grouping decides which frames are the user's.

    `rule_title` is what a fingerprint rule called it. A culprit that the sender named wins.
    """
    found = metadata(event)
    event["metadata"] = found
    event["title"] = rule_title or title(event.get("type"), found)
    event["culprit"] = event.get("culprit") or event.get("transaction") or culprit(event)
    if "filename" in found:
        event["location"] = found["filename"]


def metadata(event: Event) -> dict[str, Any]:
    """Give what the title is made of: for errors `{type?, value, filename?, function?}`, else `{title}`."""
    exceptions = _exceptions(event)
    exception = _main_exception(event, exceptions)
    if event.get("type") == "error" and exception is not None:
        result: dict[str, Any] = {"value": cut(exception.get("value") or "", MAX_VALUE)}
        if not (exception.get("mechanism") or {}).get("synthetic"):
            result["type"] = cut(exception.get("type") or "Error", MAX_TYPE)
        frame = _crash_frame(event, exceptions)
        if frame is not None:
            filename = frame.get("filename") or frame.get("abs_path")
            if filename:
                result["filename"] = filename
            result["function"] = frame["function"]
        return result
    entry = event.get("logentry") or {}
    message = (entry.get("formatted") or entry.get("message") or "").strip()
    return {"title": cut(_first_line(message), MAX_TITLE) if message else "<unlabeled event>"}


def title(event_type: str | None, found: dict[str, Any]) -> str:
    """Give the title that metadata comes to: `type: first line of value`, or the message's first line."""
    if event_type != "error":
        return found.get("title") or "<unlabeled event>"
    name = found.get("type")
    if name is not None:
        value = found.get("value")
        return f"{name}: {cut(_first_line(value), MAX_TITLE)}" if value else name
    return found.get("function") or "<unknown>"


def culprit(event: Event) -> str:
    """Give the place at fault: the newest frame of the user's code, else the newest at all, else the URL."""
    if event.get("type") == "nel":
        return ((event.get("contexts") or {}).get("nel") or {}).get("error_type") or "<missing>"
    exceptions = _exceptions(event)
    if exceptions and (exceptions[-1].get("mechanism") or {}).get("synthetic"):
        return ""
    named = [one.get("stacktrace") for one in exceptions] if exceptions else [event.get("stacktrace")]
    stacks = [stack for stack in named if stack and stack.get("frames")]
    found = _stack_culprit(stacks[-1]["frames"], event.get("platform")) if stacks else None
    return cut(found or (event.get("request") or {}).get("url") or "", MAX_CULPRIT)


def cut(text: str, limit: int) -> str:
    """Cut a text to `limit` characters, the three dots included."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _first_line(text: str) -> str:
    lines = text.splitlines()
    return lines[0] if lines else ""


def _exceptions(event: Event) -> list[dict[str, Any]]:
    """Give the exceptions that are there, oldest cause first."""
    found = event.get("exception") or {}
    values = found.get("values", [found] if found else [])
    return [one for one in values or () if one]


def _main_exception(event: Event, exceptions: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Give the exception that the event is named after: the one marked as main, else the last."""
    main = event.get("main_exception_id")
    if main is not None:
        for one in exceptions:
            if (one.get("mechanism") or {}).get("exception_id") == main:
                return one
    return exceptions[-1] if exceptions else None


def _crash_frame(event: Event, exceptions: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Give the frame that crashed: the newest named one of the user's code, else the newest named one."""
    stack = exceptions[-1].get("stacktrace") if exceptions else None
    if not (stack and stack.get("frames")):
        stack = event.get("stacktrace")
    if not (stack and stack.get("frames")):
        threads: list[Any] = (event.get("threads") or {}).get("values") or []
        only = threads[0] if len(threads) == 1 else None
        stack = only.get("stacktrace") if only else None
    newest: dict[str, Any] | None = None
    for frame in reversed((stack or {}).get("frames") or ()):
        if not frame or frame.get("function") in _NAMELESS:
            continue
        if frame.get("in_app"):
            newest = frame
            break
        newest = newest or frame
    return newest


def _stack_culprit(frames: list[dict[str, Any] | None], platform: str | None) -> str | None:
    newest = None
    for frame in reversed(frames):
        if not frame:
            continue
        if frame.get("in_app"):
            place = _frame_culprit(frame, platform)
            if place:
                return place
        elif newest is None:
            newest = _frame_culprit(frame, platform)
    return newest


def _frame_culprit(frame: dict[str, Any], platform: str | None) -> str:
    platform = frame.get("platform") or platform
    function = frame.get("function") or "?"
    if platform in _NATIVE:
        return function
    place = frame.get("module") or frame.get("filename")
    if not place:
        return ""
    return f"{function}({place})" if platform in {"javascript", "node"} else f"{place} in {function}"
