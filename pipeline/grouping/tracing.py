"""Tracing: which stack-trace rule touched which frame, for `explain`. Slow and exact: the rules run one by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.grouping.enhancements import ophio
from pipeline.grouping.enhancements.rule import EnhancementRule, SettingAction
from pipeline.grouping.enhancements.ruleset import exception_data, match_frame
from pipeline.grouping.stacks import Stack, StackReader

PROBE_CATEGORY = "-probe-"


@dataclass(frozen=True, slots=True)
class TouchedFrame:
    """A frame that a rule matched. `frame` counts from 0, the oldest; `stack` says whose it is."""

    stack: str
    frame: int
    function: str | None
    rule: EnhancementRule

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


def trace(stack: Stack, reader: StackReader) -> Iterator[TouchedFrame]:
    """Give every match of every rule, in the order in which rules run.

    A rule is probed with its own matchers and an action of ours, on what the rules before it left of category and in_app.
    """
    frames = reader.restored(stack)
    match_frames = [match_frame(frame, stack.platform) for frame in frames]
    owner = exception_data(stack.exception)
    for rule in reader.rules.candidates(match_frames, owner):
        probe = ophio.compile_rule(probe_of(rule))
        matched = [
            index for index, (category, _) in enumerate(ophio.modify(probe, match_frames, owner)) if category == PROBE_CATEGORY
        ]
        for index in matched:
            yield TouchedFrame(stack.path, index, frames[index].function, rule)
        if matched:
            for match, (category, in_app) in zip(
                match_frames, ophio.modify(ophio.compile_rule(rule), match_frames, owner), strict=True
            ):
                match["category"] = category.encode() if category is not None else None
                match["in_app"] = in_app


def probe_of(rule: EnhancementRule) -> EnhancementRule:
    """Give a rule with the same matchers that only marks what it matches."""
    return EnhancementRule(rule.matchers, (SettingAction("category", PROBE_CATEGORY),), rule.caller, rule.callee)
