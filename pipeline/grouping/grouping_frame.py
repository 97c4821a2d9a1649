"""GroupingFrame: the part of a stack frame that grouping reads, taken from JSON that may hold anything."""

from __future__ import annotations

from typing import Any, NamedTuple

FrameRow = tuple[Any, ...]
"""What a frame says, as it came: the fields of `GroupingFrame` in order. Its bytes are the key of the memory of stacks."""


_NOWHERE: Any = object()
"""Equal to no line: the first frame follows none."""


class GroupingFrame(NamedTuple):
    """One frame, oldest first in its stack. What is no text is None, and so is a name that is empty; an empty place stays.

    `same_position` says that line and column are those of the frame before: with equal names that is recursion.
    `orig_in_app` is 1, 0 or -1 (was unset) where a rule changed `in_app` before.
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
        """Say whether this frame repeats the one before it (spec, section 4.1: recursion)."""
        return (
            self.same_position
            and self.function == previous.function
            and self.module == previous.module
            and self.filename == previous.filename
            and self.abs_path == previous.abs_path
            and self.package == previous.package
        )


def rows_of(frames: list[dict[str, Any]]) -> list[FrameRow]:
    """Read what grouping needs of each frame, unchecked: this runs for every event."""
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
    """Check a row's types."""
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
    """Give a stack trace's frames; what is no object is left out, and what is no stack trace has none."""
    frames = stacktrace.get("frames") if isinstance(stacktrace, dict) else None
    return [frame for frame in frames if isinstance(frame, dict)] if isinstance(frames, list) else []
