"""Rule set: all stack-trace rules in force for a project, the base's first; the later rule wins (spec, section 5.3)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import xxhash

from pipeline.grouping.grouping_frame import GroupingFrame
from pipeline.grouping.platforms import family_of
from pipeline.grouping.stacktrace_rules import ophio
from pipeline.grouping.stacktrace_rules.exception_matchers import ExceptionMatchers
from pipeline.grouping.stacktrace_rules.parser import parse_stacktrace_rules
from pipeline.grouping.stacktrace_rules.prefilter import Prefilter
from pipeline.grouping.stacktrace_rules.rule import StackTraceRule
from pipeline.model.rule_file import RuleFile

MAX_REMEMBERED_SETS = 128


class Assembled(NamedTuple):
    """What the rules decided for a stack: whether it contributes, and the same with a hint for each frame."""

    contributes: bool
    hint: str | None
    frames: list[tuple[bool, str | None]]


class StackTraceRules:
    """Rules, compiled once. `version` names their content: equal versions decide alike."""

    def __init__(self, rules: Sequence[StackTraceRule]) -> None:
        self.rules = tuple(rules)
        self.version = xxhash.xxh3_128_digest("\n".join(map(str, rules)).encode("utf-8", "surrogatepass"))
        self._exception_matchers = ExceptionMatchers(rules)
        self._prefilter = Prefilter(rules)

    def start(self, frames: Sequence[GroupingFrame], platform: str, exception: dict[str, Any] | None) -> Matching:
        """Make ready to match one stack. The exception is the one that owns the stack, if one does."""
        match_frames = [match_frame(frame, platform) for frame in frames]
        owner = exception_data(exception)
        return Matching(self._prefilter.rules_for(match_frames, self._exception_matchers.excluded(owner)), match_frames, owner)

    def candidates(self, frames: Sequence[ophio.MatchFrame], owner: dict[str, bytes | None]) -> list[StackTraceRule]:
        """Give the rules that could hold for a stack, in order."""
        return [self.rules[position] for position in self._prefilter.positions(frames, self._exception_matchers.excluded(owner))]

    def exception_key(self, exception: dict[str, Any] | None) -> bytes:
        """Give what a memory of stacks must know of the exception that owns one."""
        if not self._exception_matchers:
            return b""
        return self._exception_matchers.key(exception_data(exception))


@lru_cache(MAX_REMEMBERED_SETS)
def load_stacktrace_rules(files: tuple[RuleFile, ...]) -> StackTraceRules:
    """Parse files, in the order in which their rules run. Raises InvalidRulesError with every mistake.

    The same files give the same set, so projects without rules of their own share one, and a reload keeps what did not change.
    """
    return StackTraceRules(parse_stacktrace_rules(files))


class Matching:
    """One stack being matched: modifiers first, then, with what they changed, the rest."""

    def __init__(self, rules: ophio.OphioRules, frames: list[ophio.MatchFrame], exception: dict[str, bytes | None]) -> None:
        self.frames = frames
        self._rules = rules
        self._exception = exception

    def modify(self) -> list[tuple[str | None, bool | None]]:
        """Give category and in_app of each frame after the rules that set them."""
        return ophio.modify(self._rules, self.frames, self._exception)

    def assemble(self, contributing: Sequence[bool]) -> Assembled:
        """Decide what contributes, given what did so far."""
        return Assembled(*ophio.assemble(self._rules, self.frames, self._exception, contributing))


def match_frame(frame: GroupingFrame, platform: str) -> ophio.MatchFrame:
    """Give a frame as rules see it: paths in lower case with slashes, a function always named."""
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


def exception_data(exception: dict[str, Any] | None) -> dict[str, bytes | None]:
    """Give the part of an exception that rules see."""
    if exception is None:
        return {"ty": None, "value": None, "mechanism": None}
    mechanism = exception.get("mechanism")
    mechanism_type = mechanism.get("type") if isinstance(mechanism, dict) else None
    return {"ty": _text(exception.get("type")), "value": _text(exception.get("value")), "mechanism": _text(mechanism_type)}


def _text(value: Any) -> bytes | None:
    return value.encode("utf-8", "replace") if isinstance(value, str) else None


def _path(value: str | None) -> bytes | None:
    return value.replace("\\", "/").lower().encode("utf-8", "replace") if value is not None else None
