"""Stacks: the stack traces of an event, normalized and remembered (spec/grouping.md, section 3.1).

Every stack goes through the modifying rules, which may move frames in and out of app; its two trees are built where a strategy
asks for them. What a stack came to is remembered under a digest of everything that decided it: the frames' fields, the platform,
the rules, the configuration, and what the rules in force say of the exception.
"""

from __future__ import annotations

import marshal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
import xxhash

from pipeline.grouping.configurations import Configuration
from pipeline.grouping.function_names import trim_function
from pipeline.grouping.grouping_frame import GroupingFrame, Row, dict_frames, frame_from, rows_of
from pipeline.grouping.hashing import HashKind
from pipeline.grouping.memory import Memory
from pipeline.grouping.platforms import platform_of
from pipeline.grouping.stacktrace_rules.rule_set import Matching, StackTraceRules
from pipeline.grouping.strategies.context import Variants, interface_values
from pipeline.grouping.strategies.stacktrace import build_stack

ENTRY_OVERHEAD_BYTES = 1_400
CHANGE_BYTES = 105
RENAMING_BYTES = 250
"""Measured with tracemalloc on 12 and 25 frames: what an entry takes besides its leaves, for each frame that it changes, and
for each that it renames, besides the names."""


class FrameChange(NamedTuple):
    """What normalization writes to one frame; None leaves a field as it is. `position` counts the frames that are objects."""

    position: int
    in_app: bool
    orig_in_app: int | None
    function: str | None
    raw_function: str | None


@dataclass(slots=True)
class CachedStack:
    """What a stack came to. `variants` are flattened, and None until a strategy asked for them.

    `key` is the digest under which it is remembered. `decided` is the last chain of exceptions that ended in this stack: its
    digest, hashes and main exception.
    """

    key: bytes
    changes: tuple[FrameChange, ...]
    variants: Variants | None = None
    decided: tuple[bytes, tuple[str, ...], int | None] | None = None

    def size_bytes(self) -> int:
        """Estimate what this entry takes."""
        leaves = sum(len(component.values[0]) for component in self.variants.values()) if self.variants else 0
        names = [
            len(change.function) + len(change.raw_function) for change in self.changes if change.function and change.raw_function
        ]
        return ENTRY_OVERHEAD_BYTES + CHANGE_BYTES * len(self.changes) + RENAMING_BYTES * len(names) + sum(names) + leaves


StackCache = Memory[CachedStack]


@dataclass(slots=True)
class Stack:
    """One stack trace of one event: where it stands (`exception.values[0].stacktrace`), its frames as objects and as rows.

    `is_candidate` says that a strategy will most likely ask for its trees: threads and raw stacks are mostly only normalized.
    """

    path: str
    frames: list[dict[str, Any]]
    rows: list[Row]
    platform: str
    exception: dict[str, Any] | None
    is_candidate: bool
    reader: StackResults | None = None
    remembered: CachedStack | None = None
    """What `reader` knows of it: looked up once an event."""


class NormalizedStack(NamedTuple):
    """A stack's frames after trimming and the modifying rules, and the rules ready to go on."""

    frames: list[GroupingFrame]
    changes: tuple[FrameChange, ...]
    matching: Matching


class StackResults:
    """Normalizes stacks under one rule set and configuration."""

    def __init__(self, rules: StackTraceRules, configuration: Configuration, kind: HashKind, memory: StackCache) -> None:
        self.rules = rules
        self.configuration = configuration
        self.kind = kind
        self.memory = memory
        self._seed = b"\0".join([rules.version, configuration.id.encode(), kind.name.encode()])

    def changes(self, stack: Stack) -> tuple[FrameChange, ...]:
        """Say what normalization writes to the stack's frames."""
        return self._remember(stack, with_variants=False).changes

    def in_app(self, stack: Stack) -> list[bool]:
        """Say of each frame whether it is in app after the modifying rules."""
        marks = [row[8] for row in stack.rows]
        for change in self.changes(stack):
            marks[change.position] = change.in_app
        return marks

    def variants(self, stack: Stack) -> Variants:
        """Give both trees, flattened; the caller may change the nodes it gets."""
        variants = self._remember(stack, with_variants=True).variants or {}
        return {name: component.copy() for name, component in variants.items()}

    def remembered(self, stack: Stack) -> CachedStack:
        """Give what the stack came to, its trees included."""
        return self._remember(stack, with_variants=True)

    def trees(self, stack: Stack) -> Variants:
        """Build both trees anew, whole."""
        return self._trees(self.normalize(stack), stack.platform)

    def _trees(self, normalized: NormalizedStack, platform: str) -> Variants:
        return build_stack(normalized.frames, normalized.matching, platform, self.configuration)

    def _remember(self, stack: Stack, *, with_variants: bool) -> CachedStack:
        if stack.reader is self and stack.remembered is not None and (stack.remembered.variants or not with_variants):
            return stack.remembered
        key = self._key(stack)
        found = self.memory.get(key)
        if found is None or (found.variants is None and with_variants):
            normalized = self.normalize(stack)
            found = CachedStack(key, normalized.changes)
            if with_variants or stack.is_candidate:
                trees = self._trees(normalized, stack.platform)
                found.variants = {name: tree.flattened(self.kind) for name, tree in trees.items()}
            self.memory.put(key, found, found.size_bytes())
        stack.reader, stack.remembered = self, found
        return found

    def restored(self, stack: Stack) -> list[GroupingFrame]:
        """Give the frames as they were before any rule ran, function names trimmed."""
        return [_restored(frame_from(row), stack.platform) for row in stack.rows]

    def normalize(self, stack: Stack) -> NormalizedStack:
        """Trim function names and run the modifying rules, from what the frames said before any rule ran."""
        frames = self.restored(stack)
        matching = self.rules.start(frames, stack.platform, stack.exception)
        changes, done = [], []
        for index, (row, frame, match, (category, ruled)) in enumerate(
            zip(stack.rows, frames, matching.frames, matching.modify(), strict=True)
        ):
            in_app = bool(ruled if ruled is not None else frame.in_app)
            orig_in_app = frame.orig_in_app
            if orig_in_app is None and in_app != frame.in_app:
                orig_in_app = -1 if frame.in_app is None else int(frame.in_app)
            match["category"] = category.encode() if category is not None else None
            match["in_app"], match["orig_in_app"] = in_app, orig_in_app
            after = frame._replace(category=category, in_app=in_app, orig_in_app=orig_in_app)
            change = _change(index, row, after)
            if change is not None:
                changes.append(change)
            done.append(after)
        return NormalizedStack(done, tuple(changes), matching)

    def _key(self, stack: Stack) -> bytes:
        try:
            rows = orjson.dumps(stack.rows)
        except TypeError:  # text or numbers that JSON cannot hold
            rows = marshal.dumps([tuple(frame_from(row)) for row in stack.rows], 2)
        digest = xxhash.xxh3_128(self._seed)
        digest.update(self.rules.exception_key(stack.exception))
        digest.update(stack.platform.encode("utf-8", "replace"))
        digest.update(b"\0")
        digest.update(rows)
        return digest.digest()


def find_stacks(event: dict[str, Any]) -> dict[int, Stack]:
    """Find every stack trace of an event, raw ones included, by the identity of its object."""
    platform = platform_of(event)
    found: dict[int, Stack] = {}

    def add(path: str, stacktrace: Any, exception: dict[str, Any] | None, *, is_candidate: bool) -> None:
        frames = dict_frames(stacktrace)
        if frames:
            found[id(stacktrace)] = Stack(path, frames, rows_of(frames), platform, exception, is_candidate)

    for index, exception in enumerate(interface_values(event, "exception")):
        add(f"exception.values[{index}].stacktrace", exception.get("stacktrace"), exception, is_candidate=True)
        add(f"exception.values[{index}].raw_stacktrace", exception.get("raw_stacktrace"), exception, is_candidate=False)
    for index, thread in enumerate(interface_values(event, "threads")):
        add(f"threads.values[{index}].stacktrace", thread.get("stacktrace"), None, is_candidate=False)
        add(f"threads.values[{index}].raw_stacktrace", thread.get("raw_stacktrace"), None, is_candidate=False)
    add("stacktrace", event.get("stacktrace"), None, is_candidate=True)
    return found


def write_back(frames: Sequence[dict[str, Any]], changes: Sequence[FrameChange]) -> None:
    """Write what normalization changed to the event's frames."""
    for position, in_app, orig_in_app, function, raw_function in changes:
        frame = frames[position]
        frame["in_app"] = in_app
        if orig_in_app is not None:
            data = frame.get("data")
            if isinstance(data, dict):
                data["orig_in_app"] = orig_in_app
            else:
                frame["data"] = {"orig_in_app": orig_in_app}
        if function is not None:
            frame["function"] = function
            frame["raw_function"] = raw_function


def mark_frames(frames: Sequence[dict[str, Any]], in_app: Sequence[bool]) -> None:
    """Set the frames' `in_app`, and nothing else."""
    for frame, mark in zip(frames, in_app, strict=True):
        frame["in_app"] = mark


def _restored(frame: GroupingFrame, platform: str) -> GroupingFrame:
    """Undo what rules did to a frame in an earlier run, and trim its function's name if no one did."""
    if frame.orig_in_app is not None:
        frame = frame._replace(in_app=None if frame.orig_in_app == -1 else bool(frame.orig_in_app))
    if frame.function and not frame.raw_function:
        trimmed = trim_function(frame.function, frame.platform or platform)
        if trimmed != frame.function:
            frame = frame._replace(function=trimmed, raw_function=frame.function)
    return frame


def _change(index: int, row: Row, after: GroupingFrame) -> FrameChange | None:
    before = frame_from(row)
    renamed = after.function != before.function
    if row[8] is after.in_app and after.orig_in_app == before.orig_in_app and not renamed:
        return None
    return FrameChange(
        index,
        bool(after.in_app),
        after.orig_in_app if after.orig_in_app != before.orig_in_app else None,
        after.function if renamed else None,
        after.raw_function if renamed else None,
    )
