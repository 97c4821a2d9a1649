"""Decides which frames of an event are looked up, and in which file (docs/spec/source-maps.md, "Which frames")."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.model.event import (
    Event,
    ExceptionValue,
    Frame,
    Stacktrace,
    Thread,
    exceptions,
    frame_slots,
    platform_of,
    threads,
)
from pipeline.model.known_stack import SettledStack
from pipeline.sourcemaps.module import EventBuild, ModuleKey
from pipeline.sourcemaps.urls import decode_url

PLATFORMS = ("javascript", "node")
_NATIVE = frozenset({"native", "[native code]"})
_NODE_FILE = re.compile(r"(?:(?:app|webpack|[a-zA-Z]):|/)")
_MAX_IMAGES = 1_000
_MAX_DEBUG_IDS = 100
MAX_PATH = 4_096
"""Longest path of a frame that is looked up, in characters. Paths are kept in memory for each module."""


@dataclass(frozen=True, slots=True)
class SelectedStacktrace:
    """A stacktrace and, for each of its frames, the module to look in. It is None for a frame that is not looked up.

    `container` is the exception or thread that gets the `raw_stacktrace`. It is None for the event's own stacktrace.
    """

    container: ExceptionValue | Thread | None
    stacktrace: Stacktrace
    frames: Sequence[Frame | None]
    modules: list[ModuleKey | None]


@dataclass(frozen=True, slots=True)
class FrameSelection:
    """The frames of one event that are looked up. `module_keys` are the modules of all frames that have a line."""

    stacktraces: list[SelectedStacktrace]
    module_keys: set[ModuleKey]


def select_frames(event: Event, project_id: int) -> FrameSelection | None:
    """Return the frames to look up. None if there are none, and the event then stays as it is."""
    platform = platform_of(event)
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
                [keys.of(frame) if frame and wanted else None for frame, wanted in zip(frames, each, strict=True)],
            )
            for (container, stacktrace, frames), each in zip(found, looked_up, strict=True)
        ],
        keys.needed,
    )


class _ModuleKeys:
    """The modules of one event's frames. Each is made once, because the frames of a stack are in few files."""

    def __init__(self, event: Event, project_id: int) -> None:
        self.needed: set[ModuleKey] = set()
        self._build, self._images = read_build(event, project_id)
        self._by_path: dict[str, ModuleKey] = {}

    def of(self, frame: Frame) -> ModuleKey:
        """Return the module to look in for a frame."""
        abs_path = frame.get("abs_path") or ""
        key = self._by_path.get(abs_path)
        if key is None:
            url = abs_path.removeprefix("async ")
            debug_id = self._images.get(abs_path) or find_debug_id(self._images, url)
            key = self._by_path[abs_path] = ModuleKey(self._build, url, debug_id)
        if frame.get("lineno"):
            self.needed.add(key)
        return key


def is_looked_up(frame: Frame | None, event_platform: str) -> bool:
    """Whether a frame names a line of a file that may have been built. Line 0 counts, and becomes an `invalid_location`."""
    if frame is None:
        return False
    platform = frame.get("platform") or event_platform
    if platform not in PLATFORMS:
        return False
    abs_path = frame.get("abs_path")
    if not abs_path or len(abs_path) > MAX_PATH or frame.get("lineno") is None:
        return False
    return not is_builtin(abs_path, platform)


def is_builtin(abs_path: str, platform: str) -> bool:
    """Whether a frame is in the JavaScript engine or in the runtime."""
    return abs_path in _NATIVE or (platform == "node" and _NODE_FILE.match(abs_path) is None)


def _stacktraces(event: Event) -> list[tuple[ExceptionValue | Thread | None, Stacktrace, Sequence[Frame | None]]]:
    """Return the event's stacktraces, each with the object that holds it and with its frames as they were before resolving."""
    found: list[tuple[ExceptionValue | Thread | None, Stacktrace, Sequence[Frame | None]]] = []
    containers: list[ExceptionValue | Thread] = [*exceptions(event), *threads(event)]
    for container in containers:
        stacktrace = container.get("stacktrace")
        if type(stacktrace) is SettledStack:
            continue  # none of its frames is looked up
        frames = frame_slots(stacktrace)
        if stacktrace and frames:
            found.append((container, stacktrace, _unresolved(frames, container)))
    stacktrace = event.get("stacktrace")
    frames = frame_slots(stacktrace)
    if stacktrace and frames:
        found.append((None, stacktrace, frames))
    return found


def _unresolved(frames: Sequence[Frame | None], container: ExceptionValue | Thread) -> Sequence[Frame | None]:
    """Return the frames. An event that was resolved before keeps them as `raw_stacktrace`, so resolving it again is harmless."""
    raw = frame_slots(container.get("raw_stacktrace"))
    was_resolved = raw and len(raw) == len(frames) and any(map(_is_symbolicated, frames))
    return raw if was_resolved else frames


def _is_symbolicated(frame: Frame | None) -> bool:
    return bool(frame and (frame.get("data") or {}).get("symbolicated"))


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


def read_build(event: Event, project_id: int) -> tuple[EventBuild, dict[str, str]]:
    """Return the event's build, and the debug ids of its images by their `code_file`."""
    images: dict[str, str] = {}
    for image in ((event.get("debug_meta") or {}).get("images") or ())[:_MAX_IMAGES]:
        if image and image.get("type") == "sourcemap":
            code_file, debug_id = image.get("code_file"), image.get("debug_id")
            if code_file is not None and debug_id is not None:
                images[code_file] = debug_id
    debug_ids = tuple(sorted(set(images.values()))[:_MAX_DEBUG_IDS])
    return EventBuild(project_id, event.get("release") or None, event.get("dist") or None, debug_ids), images
