"""Stack traces: parses frames, derives their file names, and limits their number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from pipeline.model.event_path import EventPath
from pipeline.model.known_stack import KnownStack
from pipeline.stages.normalize.clean import are_clean_frames
from pipeline.stages.normalize.remarks import Remarks
from pipeline.stages.normalize.shapes import array, mapping, record
from pipeline.stages.normalize.size_limits import sized_object
from pipeline.stages.normalize.values import address, boolean, signed, string, text, thread_id, unsigned

OLDEST_FRAMES, NEWEST_FRAMES = 50, 200
"""How many frames are kept of a longer stack, from its oldest and from its newest end."""

FRAMES_WITH_SOURCE = 50
"""How many frames keep source lines and variables. In-app frames are the last to lose them."""

_NAMELESS = frozenset({"?", ""})
_HEAVY = ("vars", "pre_context", "post_context")
_function = text(512, 20)
_sized = sized_object(2048, 5)


def _variables(value: Any, path: EventPath, remarks: Remarks) -> dict[str, Any] | None:
    """Parse an object of variables. For a list, the indexes become the names."""
    if type(value) is list:
        value = {str(index): child for index, child in enumerate(value)}
    result: dict[str, Any] | None = _sized(value, path, remarks)
    return result


lock = record(
    {"type": unsigned, "address": string, "package_name": string, "class_name": string, "thread_id": thread_id}, "lockreason"
)
_frame_fields = record(
    {
        "function": _function,
        "raw_function": _function,
        "symbol": text(512),
        "module": string,
        "package": string,
        "filename": string,
        "abs_path": string,
        "lineno": unsigned,
        "colno": unsigned,
        "platform": string,
        "pre_context": array(string),
        "context_line": string,
        "post_context": array(string),
        "in_app": boolean,
        "vars": _variables,
        "data": record(
            {
                "sourcemap": text(256, 40),
                "orig_function": text(256, 20),
                "orig_filename": text(256, 40),
                "orig_lineno": unsigned,
                "orig_colno": unsigned,
                "orig_in_app": signed,
            },
            "framedata",
        ),
        "image_addr": address,
        "instruction_addr": address,
        "symbol_addr": address,
        "function_id": address,
        "addr_mode": string,
        "trust": text(128),
        "lang": text(128),
        "stack_start": boolean,
        "lock": lock,
    },
    "frame",
)  # fmt: skip


def frame(value: Any, path: EventPath, remarks: Remarks) -> dict[str, Any] | None:
    """Parse one frame. Path and file name stand in for each other. Placeholders for an unknown function are dropped."""
    result: dict[str, Any] | None = _frame_fields(value, path, remarks)
    if result is None:
        return None
    _complete(result)
    if value.get("pre_context") or value.get("post_context"):
        result.setdefault("context_line", "")
        for key in ("pre_context", "post_context"):
            lines = result.get(key)
            if lines and None in lines:
                result[key] = ["" if line is None else line for line in lines]
    return result


def _complete(frame: dict[str, Any]) -> None:
    """Drop placeholders for an unknown function, and let path and file name stand in for each other."""
    if frame.get("function") in _NAMELESS:
        del frame["function"]
    full, name = frame.get("abs_path"), frame.get("filename")
    if not full and name:
        full = frame["abs_path"] = name
    if full and (not name or name == full):
        frame["filename"] = file_name(full)


def _complete_clean(frames: list[dict[str, Any]], path: EventPath, remarks: Remarks) -> list[dict[str, Any]]:
    """Do to clean frames, in place, what their parser does besides checking them."""
    for index, frame in enumerate(frames):
        _complete(frame)
        if "context_line" not in frame and (frame.get("pre_context") or frame.get("post_context")):
            frame["context_line"] = ""
        if "vars" in frame:
            frame["vars"] = _sized(frame["vars"], ((path, index), "vars"), remarks)
    return frames


def file_name(path: str) -> str:
    """Return the part of a URL that names the file, without host and query. Any other path is returned as it is."""
    if not path.startswith(("http://", "https://", "file://")):
        return path
    try:
        name = urlsplit(path).path
    except ValueError:
        return path
    return name.replace(" ", "%20") if name.strip("/") else path


_outer_fields = record(
    {
        "frames": lambda value, _path, _report: value,
        "registers": mapping(address),
        "instruction_addr_adjustment": string,
        "lang": text(128),
        "snapshot": boolean,
    },
    "rawstacktrace",
)  # fmt: skip


def stacktrace(value: Any, path: EventPath, remarks: Remarks) -> dict[str, Any] | None:
    """Parse a stack. One without frames stays and is named in `errors`, because grouping treats it unlike no stack."""
    if type(value) is KnownStack:
        return value
    result: dict[str, Any] | None = _outer_fields(value, path, remarks)
    if result is None:
        return None
    frames = result.pop("frames", None)
    where = (path, "frames")
    result["frames"] = None
    if type(frames) is list and frames:
        result["frames"] = _frames(frames, where, remarks)
    elif frames is None:
        remarks.error(where, "missing_attribute")
    elif type(frames) is list:
        remarks.invalid(where, "expected a non-empty value")
    else:
        remarks.invalid(where, "expected an array", frames)
    return result


def _frames(frames: list[Any], path: EventPath, remarks: Remarks) -> Sequence[dict[str, Any] | None]:
    """Drop the middle of a long stack, remove the source lines of the least important frames, and parse the rest."""
    if len(frames) > OLDEST_FRAMES + NEWEST_FRAMES:
        remarks.shortened(path, len(frames))
        frames = frames[:OLDEST_FRAMES] + frames[-NEWEST_FRAMES:]
    bare = {id(heavy) for heavy in _without_source(frames)}
    if bare:
        frames = [_without(raw, _HEAVY) if id(raw) in bare else raw for raw in frames]
    if are_clean_frames(frames):
        return _complete_clean(frames, path, remarks)
    return [frame(raw, (path, index), remarks) for index, raw in enumerate(frames)]


def _without(holder: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in holder.items() if key not in names}


def _without_source(frames: list[Any]) -> list[dict[str, Any]]:
    """Return the frames that lose their source lines: first the middle of the system's, then of the app's, never the last."""
    if len(frames) <= FRAMES_WITH_SOURCE:
        return []
    present = [one for one in frames[:-1] if type(one) is dict]
    last_is_own = type(frames[-1]) is dict and _is_own(frames[-1])
    own = [one for one in present if _is_own(one)]
    system = [one for one in present if not _is_own(one)]
    room = min(len(own) + last_is_own, FRAMES_WITH_SOURCE)
    return [*_middle(system, not last_is_own, FRAMES_WITH_SOURCE - room), *_middle(own, last_is_own, room)]


def _is_own(raw: dict[str, Any]) -> bool:
    return raw.get("in_app") is True


def _middle(frames: list[dict[str, Any]], has_last: bool, room: int) -> list[dict[str, Any]]:
    """Return the frames between the first and the last `room // 2`. With `has_last` one more frame follows, which is kept."""
    half = room // 2
    return frames[half : max(len(frames) + has_last - half, half)]
