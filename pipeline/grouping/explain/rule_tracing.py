"""Tracing: which stack-trace rule touched which frame, for `explain`. Slow and exact: the rules run one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.grouping.stack_normalization import Stack, normalize_stack, restore_frames
from pipeline.grouping.stacktrace_rules import ophio
from pipeline.grouping.stacktrace_rules.rule import Action, FlagAction, SettingAction, StackTraceRule
from pipeline.grouping.stacktrace_rules.rule_set import StackTraceRules, exception_data, match_frame

PROBE_CATEGORY = "-probe-"


@dataclass(frozen=True, slots=True)
class TouchedFrame:
    """A frame that a rule matched. `frame` counts from 0, the oldest; `stack` says whose it is."""

    stack: str
    frame: int
    function: str | None
    rule: StackTraceRule

    def to_json(self) -> dict[str, object]:
        """Give the line that `explain` prints."""
        return {
            "stack": self.stack,
            "frame": self.frame,
            "function": self.function,
            "rule": str(self.rule),
            "file": self.rule.file,
            "line": self.rule.line,
        }


def trace(stack: Stack, rules: StackTraceRules) -> Iterator[TouchedFrame]:
    """Give every match of every rule, rules in the order of their files.

    Rules run in two passes (spec/grouping.md, section 5.3). One that sets category or in_app meets what the rules before it left
    of both; one that decides what contributes meets what all of them left. A rule that does both is named if either matched.
    """
    frames = restore_frames(stack)
    match_frames = [match_frame(frame, stack.platform) for frame in frames]
    marked = normalize_stack(stack, rules).matching.frames
    owner = exception_data(stack.exception)
    for rule in rules.candidates(match_frames, owner):
        matched: set[int] = set()
        if any(map(_is_modifier, rule.actions)):
            matched |= _matches(rule, match_frames, owner)
            if matched:
                _modify(rule, match_frames, owner)
        if not all(map(_is_modifier, rule.actions)):
            matched |= _matches(rule, marked, owner)
        for index in sorted(matched):
            yield TouchedFrame(stack.path, index, frames[index].function, rule)


def _is_modifier(action: Action) -> bool:
    """Say whether an action is of the first pass."""
    return action.flag == "app" if isinstance(action, FlagAction) else action.name == "category"


def _matches(rule: StackTraceRule, frames: Sequence[ophio.MatchFrame], owner: dict[str, bytes | None]) -> set[int]:
    """Give the frames that a rule matches: it is probed with its own matchers and an action of ours."""
    probed = ophio.modify(ophio.compile_rule(probe_of(rule)), frames, owner)
    return {index for index, (category, _) in enumerate(probed) if category == PROBE_CATEGORY}


def _modify(rule: StackTraceRule, frames: Sequence[ophio.MatchFrame], owner: dict[str, bytes | None]) -> None:
    """Write to the frames what a rule sets."""
    for frame, (category, in_app) in zip(frames, ophio.modify(ophio.compile_rule(rule), frames, owner), strict=True):
        frame["category"] = category.encode() if category is not None else None
        frame["in_app"] = in_app


def probe_of(rule: StackTraceRule) -> StackTraceRule:
    """Give a rule with the same matchers that only marks what it matches."""
    return StackTraceRule(rule.matchers, (SettingAction("category", PROBE_CATEGORY),), rule.caller, rule.callee)
