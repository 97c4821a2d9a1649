"""The stack-trace rules in force for a project, the base's first. A later rule wins.

See docs/spec/stack-trace-rules.md, "What rules do".
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import xxhash

from pipeline.grouping.grouping_frame import GroupingFrame, family_of
from pipeline.grouping.stacktrace_rules import ophio
from pipeline.grouping.stacktrace_rules.exception_matchers import ExceptionMatchers
from pipeline.grouping.stacktrace_rules.parser import parse_stacktrace_rules
from pipeline.grouping.stacktrace_rules.prefilter import Prefilter
from pipeline.grouping.stacktrace_rules.rule import StackTraceRule
from pipeline.model.event import ExceptionValue
from pipeline.model.rule_file import RuleFile

MAX_CACHED_SETS = 128


class Assembled(NamedTuple):
    """Whether a stack contributes under the rules, with a hint, and the same for each of its frames."""

    contributes: bool
    hint: str | None
    frames: list[tuple[bool, str | None]]


class StackTraceRules:
    """Compiled rules. `version` is a digest of their text: rules of equal versions decide alike."""

    def __init__(self, rules: Sequence[StackTraceRule]) -> None:
        self.rules = tuple(rules)
        self.version = xxhash.xxh3_128_digest("\n".join(map(str, rules)).encode("utf-8", "surrogatepass"))
        self._exception_matchers = ExceptionMatchers(rules)
        self._prefilter = Prefilter(rules)

    def start(self, frames: Sequence[GroupingFrame], platform: str, exception: ExceptionValue | None) -> Matching:
        """Prepare to match one stack. `exception` is the exception that owns the stack, or None."""
        match_frames = [match_frame(frame, platform) for frame in frames]
        owner = exception_data(exception)
        return Matching(self._prefilter.rules_for(match_frames, self._exception_matchers.excluded(owner)), match_frames, owner)

    def candidates(self, frames: Sequence[ophio.MatchFrame], owner: dict[str, bytes | None]) -> list[StackTraceRule]:
        """Return the rules that could match a stack, in order."""
        return [self.rules[position] for position in self._prefilter.positions(frames, self._exception_matchers.excluded(owner))]

    def exception_key(self, exception: ExceptionValue | None) -> bytes:
        """Return the exception's part of the key under which its stack is cached."""
        if not self._exception_matchers:
            return b""
        return self._exception_matchers.key(exception_data(exception))


@lru_cache(MAX_CACHED_SETS)
def load_stacktrace_rules(files: tuple[RuleFile, ...]) -> StackTraceRules:
    """Parse files in the order in which their rules run. Raises InvalidRulesError with every mistake.

    The same files return the same object. So projects without rules of their own share one, and a reload keeps those of
    unchanged files.
    """
    return StackTraceRules(parse_stacktrace_rules(files))


class Matching:
    """The matching of one stack: `modify` first, then `assemble` on the frames as `modify` has marked them."""

    def __init__(self, rules: ophio.OphioRules, frames: list[ophio.MatchFrame], exception: dict[str, bytes | None]) -> None:
        self.frames = frames
        self._rules = rules
        self._exception = exception

    def modify(self) -> list[tuple[str | None, bool | None]]:
        """Return category and `in_app` of each frame after the rules that set them."""
        return ophio.modify(self._rules, self.frames, self._exception)

    def assemble(self, contributing: Sequence[bool]) -> Assembled:
        """Return what contributes under the rules. `contributing` says for each frame whether it contributes so far."""
        return Assembled(*ophio.assemble(self._rules, self.frames, self._exception, contributing))


def match_frame(frame: GroupingFrame, platform: str) -> ophio.MatchFrame:
    """Return a frame as rules see it. Paths are in lower case with slashes, and a missing function is `<unknown>`."""
    path = frame.abs_path or frame.filename
    return {
        "category": _text(frame.category),
        "family": family_of(frame.platform or platform).encode(),
        "function": _text(frame.function) or b"<unknown>",
        "in_app": frame.in_app,
        "orig_in_app": frame.orig_in_app,
        "module": _text(frame.module),
        "package": _path(frame.package),
        "path": _path(path),
    }


def exception_data(exception: ExceptionValue | None) -> dict[str, bytes | None]:
    """Return the part of an exception that rules see. All values are None if there is no exception.

    The value is without the blanks at its ends, which nobody sees.
    """
    if exception is None:
        return {"ty": None, "value": None, "mechanism": None}
    mechanism = (exception.get("mechanism") or {}).get("type")
    value = exception.get("value")
    return {
        "ty": _text(exception.get("type")),
        "value": _text(value.strip() if value is not None else None),
        "mechanism": _text(mechanism),
    }


def _text(value: str | None) -> bytes | None:
    return value.encode("utf-8", "replace") if value is not None else None


def _path(value: str | None) -> bytes | None:
    return value.replace("\\", "/").lower().encode("utf-8", "replace") if value is not None else None
