"""Untouched rules: those that no recorded event matches. They do nothing, or not what was meant."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from pipeline.model.record import Record
from pipeline.rule_tools.explaining import explain_records
from pipeline.stages.contract import Context


class UntouchedRule(NamedTuple):
    """A rule and where it stands. `is_base`: it came with the release."""

    file: str
    line: int
    rule: str
    is_base: bool


def untouched_rules(
    every: Mapping[tuple[str, int], object], records: Iterable[Record], ctx: Context, on_lost: Callable[[str], None]
) -> list[UntouchedRule]:
    """Give the rules of `every`, by file and line, that no event matches. Cost: some ten milliseconds an event."""
    left = dict(every)
    for explanation in explain_records(records, ctx, on_lost):
        for touched in explanation.touched_frames:
            left.pop((touched.rule.file, touched.rule.line), None)
        if explanation.matched_rule is not None:
            left.pop((explanation.matched_rule.file, explanation.matched_rule.line), None)
    return [UntouchedRule(file, line, str(rule), "/bases/" in f"/{file}") for (file, line), rule in left.items()]
