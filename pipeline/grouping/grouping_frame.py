"""The part of a stack frame that grouping reads, and the platform families that rules and strategies treat alike.

See docs/spec/grouping.md, "Frames".
"""

from __future__ import annotations

from typing import Any, NamedTuple

NATIVE = frozenset({"objc", "cocoa", "swift", "native", "c"})
SCRIPT = frozenset({"javascript", "node"})

FrameRow = tuple[Any, ...]
"""The fields of `GroupingFrame` in order, as the event holds them. The cache of stacks makes its keys from such rows."""


_NOWHERE: Any = object()
"""Takes the place of the line before the first frame. It equals no line."""


class GroupingFrame(NamedTuple):
    """One frame.

    A value that is not text is None, and so is an empty function name, platform, source line or category.
    `same_position` is set if line and column are those of the frame before. With equal names that is a recursion.
    `orig_in_app` is 1, 0 or -1 (unset): the value that `in_app` had before a rule changed it. It is None if none did.
    """

    module: str | None
    function: str | None
    raw_function: str | None
    filename: str | None
    abs_path: str | None
    package: str | None
    platform: str | None
    context_line: str | None
    in_app: bool | None
    same_position: bool
    orig_in_app: int | None
    has_source_map: bool
    category: str | None

    def is_same_as(self, previous: GroupingFrame) -> bool:
        """Whether this frame repeats the one before it, which is a recursion."""
        return (
            self.same_position
            and self.function == previous.function
            and self.module == previous.module
            and self.filename == previous.filename
            and self.abs_path == previous.abs_path
            and self.package == previous.package
        )


def rows_of(frames: list[dict[str, Any]]) -> list[FrameRow]:
    """Return the fields of each frame that grouping reads, unchecked. This runs for every frame of every event."""
    rows = []
    last_line = last_column = _NOWHERE
    for frame in frames:
        get = frame.get
        line, column, data = get("lineno"), get("colno"), get("data")
        orig_in_app = category = None
        has_source_map = False
        if data and isinstance(data, dict):
            orig_in_app, category = data.get("orig_in_app"), data.get("category")
            has_source_map = data.get("sourcemap") is not None
        rows.append(
            (
                get("module"),
                get("function"),
                get("raw_function"),
                get("filename"),
                get("abs_path"),
                get("package"),
                get("platform"),
                get("context_line"),
                get("in_app"),
                line == last_line and column == last_column,
                orig_in_app,
                has_source_map,
                category,
            )
        )
        last_line, last_column = line, column
    return rows


def frame_from(row: FrameRow) -> GroupingFrame:
    """Return the frame of a row. Values of the wrong type become None."""
    module, function, raw_function, filename, abs_path, package, platform, context_line = [
        value if isinstance(value, str) else None for value in row[:8]
    ]
    in_app, same_position, orig_in_app, has_source_map, category = row[8:]
    return GroupingFrame(
        module,
        function or None,
        raw_function or None,
        filename,
        abs_path,
        package,
        platform or None,
        context_line or None,
        in_app=bool(in_app) if isinstance(in_app, (int, float)) else None,
        same_position=same_position,
        orig_in_app=(-1 if orig_in_app == -1 else int(bool(orig_in_app))) if isinstance(orig_in_app, int) else None,
        has_source_map=has_source_map,
        category=_text(category),
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def dict_frames(stacktrace: Any) -> list[dict[str, Any]]:
    """Return the frames of a stack trace that are objects."""
    frames = stacktrace.get("frames") if isinstance(stacktrace, dict) else None
    return [frame for frame in frames if isinstance(frame, dict)] if isinstance(frames, list) else []


def family_of(platform: str) -> str:
    """Return a platform's family: `native`, `javascript` or `other`."""
    if platform in NATIVE:
        return "native"
    return "javascript" if platform in SCRIPT else "other"


def platform_of(event: dict[str, Any]) -> str:
    """Return an event's platform, or `other` if it has none."""
    platform = event.get("platform")
    return platform if isinstance(platform, str) and platform else "other"
