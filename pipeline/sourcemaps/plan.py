"""Which frames of an event are looked up, and where (spec/javascript.md section 1, "Which frames are sent" and "Modules")."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pipeline.sourcemaps.found import ModuleKey, Origin
from pipeline.sourcemaps.references import normalize_debug_id

PLATFORMS = ("javascript", "node")
_NATIVE = frozenset({"native", "[native code]"})
_NODE_FILE = re.compile(r"(?:(?:app|webpack|[a-zA-Z]):|/)")
_MAX_IMAGES = 1_000
_MAX_DEBUG_IDS = 100
_MAX_URL = 4_096
"""Bounds of what is remembered per module."""

Frame = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PlannedStacktrace:
    """A stacktrace with, for each frame, the module to look in; None for a frame that is not looked up.

    `container` is the exception or thread that gets the `raw_stacktrace`; the event's own stacktrace has none.
    `frames` may hold other things than frames: they keep their places.
    """

    container: dict[str, Any] | None
    stacktrace: dict[str, Any]
    frames: list[Any]
    modules: list[ModuleKey | None]


@dataclass(frozen=True, slots=True)
class Plan:
    """The look-ups of one event."""

    stacktraces: list[PlannedStacktrace]

    def module_keys(self) -> set[ModuleKey]:
        """Give the modules that are needed; a frame without a line needs none."""
        return {
            key
            for planned in self.stacktraces
            for key, frame in zip(planned.modules, planned.frames, strict=True)
            if key is not None and frame["lineno"] != 0
        }


def plan_event(event: dict[str, Any], project_id: int) -> Plan | None:
    """Find the frames to look up; None where there are none, and the event stays as it is."""
    platform = event.get("platform")
    found = [(container, stacktrace, _unresolved_frames(container, stacktrace)) for container, stacktrace in _stacktraces(event)]
    looked_up = [[is_looked_up(frame, platform) for frame in frames] for _, _, frames in found]
    if not any(any(each) for each in looked_up):
        return None
    origin, images = _origin(event, project_id)
    return Plan(
        [
            PlannedStacktrace(
                container,
                stacktrace,
                frames,
                [_module_key(frame, origin, images) if wanted else None for frame, wanted in zip(frames, each, strict=True)],
            )
            for (container, stacktrace, frames), each in zip(found, looked_up, strict=True)
        ]
    )


def is_looked_up(frame: object, event_platform: object) -> bool:
    """Say whether a frame names a place in a file that may have been built. Line 0 does, to be named an invalid location."""
    if not isinstance(frame, dict):
        return False
    platform = frame.get("platform") or event_platform
    if platform not in PLATFORMS:
        return False
    abs_path = frame.get("abs_path")
    return (
        isinstance(abs_path, str)
        and 0 < len(abs_path) <= _MAX_URL
        and isinstance(frame.get("lineno"), int)
        and not is_builtin(abs_path, platform)
    )


def is_builtin(abs_path: str, platform: object) -> bool:
    """Say whether a frame is in the engine or the runtime itself."""
    return abs_path in _NATIVE or (platform == "node" and _NODE_FILE.match(abs_path) is None)


def _module_key(frame: Frame, origin: Origin, images: dict[str, str]) -> ModuleKey:
    abs_path = frame["abs_path"]
    url = abs_path.removeprefix("async ")
    return ModuleKey(origin, url, images.get(url) or images.get(abs_path))


def _stacktraces(event: dict[str, Any]) -> list[tuple[dict[str, Any] | None, dict[str, Any]]]:
    found: list[tuple[dict[str, Any] | None, dict[str, Any]]] = []
    for interface in ("exception", "threads"):
        values = event.get(interface)
        values = values.get("values") if isinstance(values, dict) else None
        containers = [container for container in values if isinstance(container, dict)] if isinstance(values, list) else []
        found += [(container, container["stacktrace"]) for container in containers if _frames(container.get("stacktrace"))]
    if _frames(event.get("stacktrace")):
        found.append((None, event["stacktrace"]))
    return found


def _frames(stacktrace: object) -> list[Any]:
    frames = stacktrace.get("frames") if isinstance(stacktrace, dict) else None
    return frames if isinstance(frames, list) else []


def _unresolved_frames(container: dict[str, Any] | None, stacktrace: dict[str, Any]) -> list[Any]:
    """Give the frames; those of an event that was resolved before are what it kept as raw, so that again gives the same."""
    frames = _frames(stacktrace)
    raw = _frames(container.get("raw_stacktrace")) if container is not None else []
    was_resolved = len(raw) == len(frames) and any(_is_symbolicated(frame) for frame in frames)
    return raw if was_resolved else frames


def _is_symbolicated(frame: object) -> bool:
    data = frame.get("data") if isinstance(frame, dict) else None
    return isinstance(data, dict) and data.get("symbolicated") is True


def _origin(event: dict[str, Any], project_id: int) -> tuple[Origin, dict[str, str]]:
    """Give the event's origin, and the debug ids of its images by their `code_file`."""
    meta = event.get("debug_meta")
    listed = meta.get("images") if isinstance(meta, dict) else None
    images: dict[str, str] = {}
    for image in listed[:_MAX_IMAGES] if isinstance(listed, list) else ():
        if isinstance(image, dict) and image.get("type") == "sourcemap" and isinstance(image.get("code_file"), str):
            debug_id = normalize_debug_id(image.get("debug_id"))
            if debug_id is not None:
                images[image["code_file"]] = debug_id
    release, dist = event.get("release"), event.get("dist")
    origin = Origin(
        project_id,
        release if isinstance(release, str) and release else None,
        dist if isinstance(dist, str) and dist else None,
        tuple(sorted(set(images.values()))[:_MAX_DEBUG_IDS]),
    )
    return origin, images
