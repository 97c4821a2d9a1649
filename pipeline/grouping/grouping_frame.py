"""The part of a stack frame that grouping reads, and the platform families that rules and strategies treat alike.

See docs/spec/grouping.md, "Frames".
"""

from __future__ import annotations

from typing import Any, NamedTuple

from pipeline.model.event import Frame

NATIVE = frozenset({"objc", "cocoa", "swift", "native", "c"})
SCRIPT = frozenset({"javascript", "node"})

FrameRow = tuple[Any, ...]
"""The fields of `GroupingFrame` in order, as a plain tuple. The cache of stacks makes its keys from such rows: orjson encodes
plain tuples, but not named ones."""


_NOWHERE: Any = object()
"""Stands for the line before the first frame. It is not equal to any line."""


class GroupingFrame(NamedTuple):
    """One frame.

    An empty function name, platform, source line or category is None.
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


def rows_of(frames: list[Frame]) -> list[FrameRow]:
    """Return the fields of each frame that grouping reads. This runs for every frame of every event."""
    rows = []
    last_line = last_column = _NOWHERE
    for frame in frames:
        get = frame.get
        line, column = get("lineno"), get("colno")
        data = frame.get("data")
        orig_in_app = category = None
        has_source_map = False
        if data:
            orig_in_app, category = data.get("orig_in_app"), data.get("category") or None
            has_source_map = data.get("sourcemap") is not None
            if orig_in_app is not None and orig_in_app != -1:
                orig_in_app = int(bool(orig_in_app))
        rows.append(
            (
                get("module"),
                get("function") or None,
                get("raw_function") or None,
                get("filename"),
                get("abs_path"),
                get("package"),
                get("platform") or None,
                get("context_line") or None,
                get("in_app"),
                line == last_line and column == last_column,
                orig_in_app,
                has_source_map,
                category,
            )
        )
        last_line, last_column = line, column
    return rows


def family_of(platform: str) -> str:
    """Return a platform's family: `native`, `javascript` or `other`."""
    if platform in NATIVE:
        return "native"
    return "javascript" if platform in SCRIPT else "other"
