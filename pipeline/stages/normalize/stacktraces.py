"""Stack traces: frames with file names to group by, and no more of them than a person would read."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from pipeline.stages.normalize.bags import bag
from pipeline.stages.normalize.report import Path, Report
from pipeline.stages.normalize.shapes import array, mapping, record
from pipeline.stages.normalize.values import address, boolean, signed, string, text, thread_id, unsigned

OLDEST_FRAMES, NEWEST_FRAMES = 50, 200
"""Of a longer stack these stay: where it began, and where it went wrong."""

FRAMES_WITH_SOURCE = 50
"""Only so many frames keep their source lines and variables; frames of the user's own code last."""

_HEAVY = ("vars", "pre_context", "post_context", "context_line")
_function = text(512, 12)
_bag = bag(2048, 5)


def _variables(value: Any, path: Path, report: Report) -> dict[str, Any] | None:
    """Take variables by name; a list's are named by their index."""
    if type(value) is list:
        value = {str(index): child for index, child in enumerate(value)}
    return _bag(value, path, report)


_frame_fields = record(
    {
        "function": _function,
        "raw_function": _function,
        "symbol": _function,
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
        "source_link": string,
        "in_app": boolean,
        "vars": _variables,
        "data": record(
            {
                "sourcemap": text(256, 20),
                "orig_function": text(512, 12),
                "orig_filename": text(256, 20),
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
        "lock": record({"type": unsigned, "address": string, "package_name": string, "class_name": string, "thread_id": thread_id}, "lockreason"),
    },
    "frame",
)  # fmt: skip


def frame(value: Any, path: Path, report: Report) -> dict[str, Any] | None:
    """Take one frame: its path and its file name each stand in for the other, and an unknown function has no name."""
    result = _frame_fields(value, path, report)
    if result is None:
        return None
    if result.get("function") in {"?", ""}:
        del result["function"]
    full, name = result.get("abs_path"), result.get("filename")
    if full or name:
        full = full or name
        result["abs_path"] = full
        if not name or name == full:
            result["filename"] = file_name(full)
    if "context_line" not in result and (value.get("pre_context") or value.get("post_context")):
        result["context_line"] = ""
    for key in ("pre_context", "post_context"):
        lines = result.get(key)
        if lines and None in lines:
            result[key] = ["" if line is None else line for line in lines]
    return result


def file_name(path: str) -> str:
    """Give the part of a URL that names the file, without host and query; any other path is a file's name as it is."""
    if not path.startswith(("http://", "https://")):
        return path
    try:
        return urlsplit(path).path or path
    except ValueError:
        return path


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


def stacktrace(value: Any, path: Path, report: Report) -> dict[str, Any] | None:
    """Take a stack. One without frames is an error, and stays for its registers, and because grouping says that it is there."""
    result = _outer_fields(value, path, report)
    if result is None:
        return None
    frames = result.pop("frames", None)
    where = (path, "frames")
    result["frames"] = None
    if type(frames) is list and frames:
        result["frames"] = _frames(frames, where, report)
    elif frames is None:
        report.error(where, "missing_attribute")
    elif type(frames) is list:
        report.invalid(where, "expected a non-empty value")
    else:
        report.invalid(where, "expected an array", frames)
    return result


def _frames(frames: list[Any], path: Path, report: Report) -> list[dict[str, Any] | None]:
    """Drop the middle of a long stack, parse the rest, and take the source from the frames that matter least."""
    chosen = list(enumerate(frames))
    if len(frames) > OLDEST_FRAMES + NEWEST_FRAMES:
        chosen = chosen[:OLDEST_FRAMES] + chosen[-NEWEST_FRAMES:]
        report.shortened(path, len(frames))
    result = [frame(raw, (path, index), report) for index, raw in chosen]
    excess = len(result) - FRAMES_WITH_SOURCE
    if excess > 0:
        for heavy in _least_needed(result)[:excess]:
            for key in _HEAVY:
                heavy.pop(key, None)
    return result


def _least_needed(frames: list[dict[str, Any] | None]) -> list[dict[str, Any]]:
    """Order frames by how soon they give up their source: the system's before the user's, the middle before the ends."""
    present = [one for one in frames if one is not None]
    system = [one for one in present if not one.get("in_app")]
    own = [one for one in present if one.get("in_app")]
    return [*_from_the_middle(system), *_from_the_middle(own)]


def _from_the_middle(frames: list[dict[str, Any]]) -> list[dict[str, Any]]:
    middle = (len(frames) - 1) / 2
    return [one for _, one in sorted(enumerate(frames), key=lambda entry: abs(entry[0] - middle))]
