"""Normalizes the stack traces of an event: trims function names and runs the stack-trace rules that set `in_app`.

Each frame is taken as it was before any rule ran, so a second run gives the same result. See docs/spec/grouping.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.grouping.configurations import Configuration
from pipeline.grouping.function_names import trim_function
from pipeline.grouping.grouping_frame import FrameRow, GroupingFrame, rows_of
from pipeline.grouping.stacktrace_rules.rule_set import Matching, StackTraceRules
from pipeline.model.event import Event, ExceptionValue, Frame, Stacktrace, exceptions, frames_in, platform_of, threads
from pipeline.model.known_stack import SettledStack


class FrameChange(NamedTuple):
    """What normalization writes to one frame. None leaves a field as it is.

    `position` is the frame's index in its stack.
    """

    position: int
    in_app: bool
    orig_in_app: int | None
    function: str | None
    raw_function: str | None


@dataclass(slots=True)
class Stack:
    """One stack trace of one event.

    `path` says where it is, such as `exception.values[0].stacktrace`. `exception` is the exception that owns it, or None.
    `is_candidate` is set if a strategy will most likely ask for its trees. The stacks of threads, and raw ones, are mostly
    only normalized.
    """

    path: str
    frames: list[Frame]
    platform: str
    exception: ExceptionValue | None
    is_candidate: bool
    settled: SettledStack | None = None
    """Set if the frames are shared, and hold all that grouping would write to them."""
    read_rows: list[FrameRow] | None = None

    @property
    def rows(self) -> list[FrameRow]:
        """What grouping reads of the frames. Nobody asks for those of most settled stacks."""
        if self.read_rows is None:
            self.read_rows = rows_of(self.frames)
        return self.read_rows


class NormalizedStack(NamedTuple):
    """The frames after the rules that set `in_app` and category, and the matching that decides next what contributes.

    `is_library` is set if every frame is out of the app because the sender or a rule said so, and not merely because nothing is
    known about it.
    """

    frames: list[GroupingFrame]
    changes: tuple[FrameChange, ...]
    matching: Matching
    is_library: bool


def restore_frames(stack: Stack) -> list[GroupingFrame]:
    """Return the frames as they were before any rule ran, with trimmed function names."""
    return [_restored(frame, stack.platform) for frame in map(GroupingFrame._make, stack.rows)]


def normalize_stack(stack: Stack, rules: StackTraceRules, configuration: Configuration) -> NormalizedStack:
    """Trim function names and run the rules that set `in_app` and category. Changes nothing in the event."""
    sent = [GroupingFrame._make(row) for row in stack.rows]
    frames = [_restored(frame, stack.platform) for frame in sent]
    matching = rules.start(frames, stack.platform, stack.exception)
    changes, done = [], []
    is_library = True
    for index, (before, frame, match, (category, ruled)) in enumerate(
        zip(sent, frames, matching.frames, matching.modify(), strict=True)
    ):
        if configuration.in_app_of_sender and frame.in_app is not None:
            ruled = frame.in_app  # noqa: PLW2901 -- the sender's word takes the place of the rules'
        in_app = bool(ruled if ruled is not None else frame.in_app)
        is_library = is_library and ruled is False
        orig_in_app = frame.orig_in_app
        if orig_in_app is None and in_app != frame.in_app:
            orig_in_app = -1 if frame.in_app is None else int(frame.in_app)
        match["category"] = category.encode() if category is not None else None
        match["in_app"], match["orig_in_app"] = in_app, orig_in_app
        after = GroupingFrame(*frame[:8], in_app, frame.same_position, orig_in_app, frame.has_source_map, category)
        change = _change(index, before, after)
        if change is not None:
            changes.append(change)
        done.append(after)
    return NormalizedStack(done, tuple(changes), matching, is_library)


def find_stacks(event: Event) -> dict[int, Stack]:
    """Return every stack trace of an event that has frames, raw ones included. The keys are `id(stacktrace)`."""
    platform = platform_of(event)
    found: dict[int, Stack] = {}

    def add(path: str, stacktrace: Stacktrace | None, exception: ExceptionValue | None, *, is_candidate: bool) -> None:
        frames = frames_in(stacktrace)
        if frames:
            settled = stacktrace if type(stacktrace) is SettledStack else None
            found[id(stacktrace)] = Stack(path, frames, platform, exception, is_candidate, settled)

    for index, exception in enumerate(exceptions(event)):
        add(f"exception.values[{index}].stacktrace", exception.get("stacktrace"), exception, is_candidate=True)
        add(f"exception.values[{index}].raw_stacktrace", exception.get("raw_stacktrace"), exception, is_candidate=False)
    for index, thread in enumerate(threads(event)):
        add(f"threads.values[{index}].stacktrace", thread.get("stacktrace"), None, is_candidate=False)
        add(f"threads.values[{index}].raw_stacktrace", thread.get("raw_stacktrace"), None, is_candidate=False)
    add("stacktrace", event.get("stacktrace"), None, is_candidate=True)
    return found


def write_back(frames: Sequence[Frame], changes: Sequence[FrameChange]) -> None:
    """Write the changes to the frames of an event."""
    for position, in_app, orig_in_app, function, raw_function in changes:
        frame = frames[position]
        frame["in_app"] = in_app
        if orig_in_app is not None:
            data = frame.get("data")
            if data:
                data["orig_in_app"] = orig_in_app
            else:
                frame["data"] = {"orig_in_app": orig_in_app}
        if function is not None:
            frame["function"] = function
            frame["raw_function"] = raw_function


def mark_frames(frames: Sequence[Frame], in_app: Sequence[bool]) -> None:
    """Set `in_app` of each frame, and nothing else."""
    for frame, mark in zip(frames, in_app, strict=True):
        frame["in_app"] = mark


def _restored(frame: GroupingFrame, platform: str) -> GroupingFrame:
    """Undo what rules did to a frame in an earlier run, and trim its function name if that was not done before."""
    if frame.orig_in_app is not None:
        frame = frame._replace(in_app=None if frame.orig_in_app == -1 else bool(frame.orig_in_app))
    if frame.function and not frame.raw_function:
        trimmed = trim_function(frame.function, frame.platform or platform)
        if trimmed != frame.function:
            frame = frame._replace(function=trimmed, raw_function=frame.function)
    return frame


def _change(index: int, before: GroupingFrame, after: GroupingFrame) -> FrameChange | None:
    renamed = after.function != before.function
    if before.in_app is after.in_app and after.orig_in_app == before.orig_in_app and not renamed:
        return None
    return FrameChange(
        index,
        bool(after.in_app),
        after.orig_in_app if after.orig_in_app != before.orig_in_app else None,
        after.function if renamed else None,
        after.raw_function if renamed else None,
    )
