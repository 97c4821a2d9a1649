"""What a minified stack should resolve to: the frames of the same crash in an unminified run, in the same engine.

Nothing here reads a source map. Two runs of one scenario are held side by side, frame by frame.
"""

from __future__ import annotations

from typing import Any

Event = dict[str, Any]


def frames_of_source_run(minified: Event, source: Event, *, built: str, sources: str) -> list[dict[str, Any]] | None:
    """Return for each exception of `minified` its type and, for each of its frames, where the source run was.

    A function is named as V8 does: `Cart.total`, `new Address`, `get heaviest`, receiver first (`Object.checkout`).
    A frame that is not the shop's code is None. `built` and `sources` are the beginnings of the paths of our code in either run.
    Returns None where the stacks of our code are not equally deep: then no frame's truth is known.
    """
    truth = []
    for built_exception, source_exception in zip(_exceptions(minified), _exceptions(source), strict=True):
        ours = [_original(frame, sources) for frame in _frames(source_exception) if _path(frame).startswith(sources)]
        is_ours = [_path(frame).startswith(built) for frame in _frames(built_exception)]
        if sum(is_ours) != len(ours):
            return None
        remaining = iter(ours)
        frames = [next(remaining) if our_frame else None for our_frame in is_ours]
        truth.append({"type": built_exception.get("type"), "frames": frames})
    return truth


def _original(frame: dict[str, Any], sources: str) -> dict[str, Any]:
    return {
        "file": "src/" + _path(frame).removeprefix(sources),
        "line": frame["lineno"],
        "column": frame["colno"],
        "function": _name(frame.get("function") or ""),
    }


def _name(engine_name: str) -> str | None:
    """Return the function's name without what the engine says about the call: `async f`, `f [as g]`. None: it has no name."""
    name = engine_name.removeprefix("async ").split(" [as ")[0]
    return None if name.rpartition(".")[2] in ("", "?", "<anonymous>", "eval") else name


def _path(frame: dict[str, Any]) -> str:
    return str(frame.get("abs_path") or frame.get("filename") or "").removeprefix("async ").removeprefix("file://")


def _exceptions(event: Event) -> list[dict[str, Any]]:
    return list((event.get("exception") or {}).get("values") or [])


def _frames(exception: dict[str, Any]) -> list[dict[str, Any]]:
    return list((exception.get("stacktrace") or {}).get("frames") or [])
