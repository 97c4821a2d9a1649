"""Unused rules: those that no recorded event matches. They have no effect, or not the effect that was intended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from pipeline.model.record import Record
from pipeline.rule_tools.explanations import explain_records
from pipeline.stages.contract import Context


class UnusedRule(NamedTuple):
    """A rule and where it is written. `is_base` means that it belongs to the base rules of a release."""

    file: str
    line: int
    rule: str
    is_base: bool


def unused_rules(
    rules: Mapping[tuple[str, int], object], records: Iterable[Record], ctx: Context, on_lost: Callable[[str], None]
) -> list[UnusedRule]:
    """Return those of `rules` that no event matches. The keys are file and line, `str()` of a value is the text of its rule.

    `on_lost` is called with a line of text for each event that cannot be grouped. Costs some ten milliseconds an event.
    """
    left = dict(rules)
    for explanation in explain_records(records, ctx, on_lost):
        for touched in explanation.touched_frames:
            left.pop((touched.rule.file, touched.rule.line), None)
        if explanation.matched_rule is not None:
            left.pop((explanation.matched_rule.file, explanation.matched_rule.line), None)
    return [UnusedRule(file, line, str(rule), "/bases/" in f"/{file}") for (file, line), rule in left.items()]
