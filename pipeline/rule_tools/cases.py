"""Rule cases, run: each event through the stages that come before grouping, then grouped, then held to what was expected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any

import orjson

from pipeline.grouping.explain.explanation import Explanation
from pipeline.grouping.fingerprint_rules.crash_frames import frames_besides_exceptions, frames_of, values_of
from pipeline.model.errors import RuleError
from pipeline.model.record import Form, Record, Token
from pipeline.rule_tools.case_file import Expectation, PlacedCase, Subject
from pipeline.rule_tools.explaining import explain_item, prepared_items
from pipeline.stages.contract import Context


def run_cases(cases: Iterable[PlacedCase], ctx: Context, subject: Subject) -> Iterator[RuleError]:
    """Run cases about one project's rules, or the default's; give an error for everything that is not as expected.

    For cases about the bases the context holds no other rules.
    """
    project_id = subject if isinstance(subject, int) else next(number for number in count(1) if not ctx.rules.knows(number))
    for placed in cases:
        for message in _run(placed, ctx, project_id):
            yield RuleError(placed.file, placed.line, None, f"{placed.case.name}: {message}")


def _run(placed: PlacedCase, ctx: Context, project_id: int) -> Iterator[str]:
    lost: list[str] = []
    explained: list[tuple[dict[str, Any], Explanation]] = []
    for number, event in enumerate(placed.case.all_events, 1):
        record = Record(
            orjson.dumps(event, default=str), Form.JSON, placed.file, number, ctx.now, Token("cases", 0, number), project_id
        )
        explained += [(item.event, explain_item(item, ctx)) for item in prepared_items([record], ctx, lost.append)]
    if lost:
        yield f"no event: {lost[0]}"
        return
    expect = placed.case.expect
    for number, (event, explanation) in enumerate(explained, 1):
        which = f"event {number}: " if len(explained) > 1 else ""
        yield from (f"{which}{message}" for message in _differences(expect, event, explanation))
    if expect.together is not None:
        groups = {explanation.grouping.group_id(project_id) for _, explanation in explained}
        if expect.together and len(groups) > 1:
            yield f"expected one group, the {len(explained)} events are in {len(groups)}"
        if not expect.together and len(groups) < len(explained):
            yield f"expected a group for each, the {len(explained)} events are in {len(groups)}"


def _differences(expect: Expectation, event: dict[str, Any], found: Explanation) -> Iterator[str]:
    if expect.fingerprint is not None and expect.fingerprint != found.fingerprint:
        yield f"expected fingerprint {list(expect.fingerprint)}, got {list(found.fingerprint)}"
    if expect.title is not None and expect.title != found.title:
        yield f"expected title {expect.title!r}, got {found.title!r}"
    if expect.in_app is not None:
        exceptions = values_of(event, "exception")
        frames = (frames_of(exceptions[-1]) if exceptions else []) or frames_besides_exceptions(event)
        in_app = tuple(bool(frame.get("in_app")) for frame in frames)
        if expect.in_app != in_app:
            yield f"expected in_app {list(expect.in_app)}, got {list(in_app)}"
    if expect.rule is not None:
        rule = found.matched_rule
        place = f"{rule.file.rpartition('/')[2]}:{rule.line}" if rule is not None else "none"
        if expect.rule not in {place, place.rpartition(":")[0] or place}:
            yield f"expected rule {expect.rule}, got {place}"
