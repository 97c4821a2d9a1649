"""Finds which stack-trace rule matched which frame, for `explain`. It is slow, because it runs the rules one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.grouping.configurations import Configuration
from pipeline.grouping.stack_normalization import Stack, normalize_stack, restore_frames
from pipeline.grouping.stacktrace_rules import ophio
from pipeline.grouping.stacktrace_rules.rule import Action, FlagAction, SettingAction, StackTraceRule
from pipeline.grouping.stacktrace_rules.rule_set import StackTraceRules, exception_data, match_frame

PROBE_CATEGORY = "-probe-"


@dataclass(frozen=True, slots=True)
class TouchedFrame:
    """A frame that a rule matched. `frame` counts from 0, the oldest. `stack` is the path of its stack in the event.

    `overruled` is set if the rule would set `in_app` and the sender's word counts instead.
    """

    stack: str
    frame: int
    function: str | None
    rule: StackTraceRule
    overruled: bool = False

    def to_json(self) -> dict[str, object]:
        """Return the match as `explain --json` prints it."""
        return {
            "stack": self.stack,
            "frame": self.frame,
            "function": self.function,
            "rule": str(self.rule),
            "file": self.rule.file,
            "line": self.rule.line,
            **({"overruled": "in_app stays as it was sent"} if self.overruled else {}),
        }


def trace(stack: Stack, rules: StackTraceRules, configuration: Configuration) -> Iterator[TouchedFrame]:
    """Yield every match of every rule, in the order of the rules.

    Rules run in two passes. A rule that sets category or `in_app` sees both as the rules before it have left them. A rule that
    decides what contributes sees them as all rules have left them. A rule that does both matches if it matches in either pass.
    See docs/spec/stack-trace-rules.md, "What rules do".
    """
    frames = restore_frames(stack)
    match_frames = [match_frame(frame, stack.platform) for frame in frames]
    marked = normalize_stack(stack, rules, configuration).matching.frames
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
            sets_app = any(isinstance(action, FlagAction) and action.flag == "app" for action in rule.actions)
            overruled = sets_app and configuration.in_app_of_sender and frames[index].in_app is not None
            yield TouchedFrame(stack.path, index, frames[index].function, rule, overruled)


def _is_modifier(action: Action) -> bool:
    """Whether an action belongs to the first pass."""
    return action.flag == "app" if isinstance(action, FlagAction) else action.name == "category"


def _matches(rule: StackTraceRule, frames: Sequence[ophio.MatchFrame], owner: dict[str, bytes | None]) -> set[int]:
    """Return the indexes of the frames that a rule matches. A probe with the same matchers marks them."""
    probed = ophio.modify(ophio.compile_rule(probe_of(rule)), frames, owner)
    return {index for index, (category, _) in enumerate(probed) if category == PROBE_CATEGORY}


def _modify(rule: StackTraceRule, frames: Sequence[ophio.MatchFrame], owner: dict[str, bytes | None]) -> None:
    """Run a rule and write the category and `in_app` that it sets to the frames."""
    for frame, (category, in_app) in zip(frames, ophio.modify(ophio.compile_rule(rule), frames, owner), strict=True):
        frame["category"] = category.encode() if category is not None else None
        frame["in_app"] = in_app


def probe_of(rule: StackTraceRule) -> StackTraceRule:
    """Return a rule with the same matchers whose only action is to mark the frames that it matches."""
    return StackTraceRule(rule.matchers, (SettingAction("category", PROBE_CATEGORY),), rule.caller, rule.callee)
