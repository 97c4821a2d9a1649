"""Which frames of an event are looked up, and in which file (docs/spec/source-maps.md, "Which frames")."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pipeline.sourcemaps.map_references import normalize_debug_id
from pipeline.sourcemaps.module import EventBuild, ModuleKey
from pipeline.sourcemaps.urls import decode_url

PLATFORMS = ("javascript", "node")
_NATIVE = frozenset({"native", "[native code]"})
_NODE_FILE = re.compile(r"(?:(?:app|webpack|[a-zA-Z]):|/)")
_MAX_IMAGES = 1_000
_MAX_DEBUG_IDS = 100
MAX_PATH = 4_096
"""In characters. A frame with a longer path is not looked up: paths are kept in memory for each module."""


@dataclass(frozen=True, slots=True)
class SelectedStacktrace:
    """A stacktrace and, for each of its frames, the module to look in. It is None for a frame that is not looked up.

    `container` is the exception or thread that gets the `raw_stacktrace`. It is None for the event's own stacktrace.
    `frames` may hold values that are no frames, which are left as they are.
    """

    container: dict[str, Any] | None
    stacktrace: dict[str, Any]
    frames: list[Any]
    modules: list[ModuleKey | None]


@dataclass(frozen=True, slots=True)
class FrameSelection:
    """The frames of one event that are looked up. `module_keys` are the modules of all frames that have a line."""

    stacktraces: list[SelectedStacktrace]
    module_keys: set[ModuleKey]


def select_frames(event: dict[str, Any], project_id: int) -> FrameSelection | None:
    """Return the frames to look up. None if there are none, and the event then stays as it is."""
    platform = event.get("platform")
    found = _stacktraces(event)
    looked_up = [[is_looked_up(frame, platform) for frame in frames] for _, _, frames in found]
    if not any(map(any, looked_up)):
        return None
    keys = _ModuleKeys(event, project_id)
    return FrameSelection(
        [
            SelectedStacktrace(
                container,
                stacktrace,
                frames,
                [keys.of(frame) if wanted else None for frame, wanted in zip(frames, each, strict=True)],
            )
            for (container, stacktrace, frames), each in zip(found, looked_up, strict=True)
        ],
        keys.needed,
    )


class _ModuleKeys:
    """The modules of one event's frames. Each is made once, because the frames of a stack are in few files."""

    def __init__(self, event: dict[str, Any], project_id: int) -> None:
        self.needed: set[ModuleKey] = set()
        self._build, self._images = read_build(event, project_id)
        self._by_path: dict[str, ModuleKey] = {}

    def of(self, frame: dict[str, Any]) -> ModuleKey:
        """Return the module to look in for a frame."""
        abs_path = frame["abs_path"]
        key = self._by_path.get(abs_path)
        if key is None:
            url = abs_path.removeprefix("async ")
            debug_id = self._images.get(abs_path) or find_debug_id(self._images, url)
            key = self._by_path[abs_path] = ModuleKey(self._build, url, debug_id)
        if frame["lineno"] != 0:
            self.needed.add(key)
        return key


def is_looked_up(frame: object, event_platform: object) -> bool:
    """Whether a frame names a line of a file that may have been built. Line 0 counts, and becomes an `invalid_location`."""
    if type(frame) is not dict:
        return False
    platform = frame.get("platform") or event_platform
    if platform not in PLATFORMS:
        return False
    abs_path = frame.get("abs_path")
    return (
        isinstance(abs_path, str)
        and 0 < len(abs_path) <= MAX_PATH
        and isinstance(frame.get("lineno"), int)
        and not is_builtin(abs_path, platform)
    )


def is_builtin(abs_path: str, platform: object) -> bool:
    """Whether a frame is in the JavaScript engine or in the runtime."""
    return abs_path in _NATIVE or (platform == "node" and _NODE_FILE.match(abs_path) is None)


def _stacktraces(event: dict[str, Any]) -> list[tuple[dict[str, Any] | None, dict[str, Any], list[Any]]]:
    """Return the event's stacktraces, each with the object that holds it and with its frames as they were before resolving."""
    found: list[tuple[dict[str, Any] | None, dict[str, Any], list[Any]]] = []
    for interface in ("exception", "threads"):
        values = event.get(interface)
        values = values.get("values") if isinstance(values, dict) else None
        for container in values if isinstance(values, list) else ():
            frames = _frames(container.get("stacktrace")) if isinstance(container, dict) else None
            if frames:
                found.append((container, container["stacktrace"], _unresolved(frames, container)))
    frames = _frames(event.get("stacktrace"))
    if frames:
        found.append((None, event["stacktrace"], frames))
    return found


def _frames(stacktrace: object) -> list[Any]:
    frames = stacktrace.get("frames") if isinstance(stacktrace, dict) else None
    return frames if isinstance(frames, list) else []


def _unresolved(frames: list[Any], container: dict[str, Any]) -> list[Any]:
    """Return the frames. An event that was resolved before keeps them as `raw_stacktrace`, so resolving it again is harmless."""
    raw = _frames(container.get("raw_stacktrace"))
    was_resolved = raw and len(raw) == len(frames) and any(map(_is_symbolicated, frames))
    return raw if was_resolved else frames


def _is_symbolicated(frame: object) -> bool:
    data = frame.get("data") if isinstance(frame, dict) else None
    return isinstance(data, dict) and data.get("symbolicated") is True


def find_debug_id(images: dict[str, str], url: str) -> str | None:
    """Return the debug id of the image that a frame's path means. `images` are debug ids by `code_file`.

    A path may have been changed after the SDK noted the images. So if none has exactly this path, an image counts whose path is
    the same without query and percent-encoding, else the only one with the same file name. Two of one name are no answer.
    """
    debug_id = images.get(url)
    if debug_id is not None or not images:
        return debug_id
    path = _path(url)
    name = path.rpartition("/")[2]
    if not name:
        return None
    others = [
        (_path(code_file), each)
        for code_file, each in images.items()
        if name in code_file or "%" in code_file or not code_file.isascii()
    ]
    same_name = [(other, each) for other, each in others if other.rpartition("/")[2] == name]
    found = {each for other, each in same_name if other == path} or {each for _, each in same_name}
    return found.pop() if len(found) == 1 else None


def _path(url: str) -> str:
    return decode_url(url.split("#", 1)[0].split("?", 1)[0]).replace("\\", "/")


def read_build(event: dict[str, Any], project_id: int) -> tuple[EventBuild, dict[str, str]]:
    """Return the event's build, and the debug ids of its images by their `code_file`."""
    meta = event.get("debug_meta")
    listed = meta.get("images") if isinstance(meta, dict) else None
    images: dict[str, str] = {}
    for image in listed[:_MAX_IMAGES] if isinstance(listed, list) else ():
        if isinstance(image, dict) and image.get("type") == "sourcemap" and isinstance(image.get("code_file"), str):
            debug_id = normalize_debug_id(image.get("debug_id"))
            if debug_id is not None:
                images[image["code_file"]] = debug_id
    release, dist = event.get("release"), event.get("dist")
    build = EventBuild(
        project_id,
        release if isinstance(release, str) and release else None,
        dist if isinstance(dist, str) and dist else None,
        tuple(sorted(set(images.values()))[:_MAX_DEBUG_IDS]),
    )
    return build, images
