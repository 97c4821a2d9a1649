"""Running rule cases: each event goes through the stages up to grouping and is compared with what its case expects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path

import orjson

from pipeline.grouping.explain.explanation import Explanation
from pipeline.grouping.grouper import Grouper
from pipeline.model.errors import RuleError
from pipeline.model.event import Event, crash_stack
from pipeline.model.record import Form, Record, Token
from pipeline.model.rule_file import RuleFile
from pipeline.rule_tools.case_file import Expectation, LocatedCase, Subject
from pipeline.rule_tools.explanations import explain_item, ungrouped_items
from pipeline.rules.snapshot import Rules
from pipeline.stages.contract import Context


def run_cases(cases: Iterable[LocatedCase], ctx: Context, subject: Subject) -> Iterator[RuleError]:
    """Run cases and yield an error for each expectation that does not hold.

    For the subject "bases", `ctx.rules` must hold the bases alone (see `base_rules`).
    """
    project_id = subject if isinstance(subject, int) else next(number for number in count(1) if not ctx.rules.knows(number))
    for located in cases:
        for message in _run(located, ctx, project_id):
            yield RuleError(located.file, located.line, None, f"{located.case.name}: {message}")


def base_rules(folder: Path, loaded: Rules) -> Rules:
    """Return rules whose grouping has only the newest base rules of a folder, for every project.

    Everything but grouping is taken from `loaded`, the rules of the whole folder.
    """
    files = sorted((folder / "bases").glob("*.rules"))
    bases = {file.name: RuleFile(str(file.relative_to(folder.parent)), file.read_text()) for file in files}
    return Rules(loaded.version, loaded.default._replace(grouper=Grouper.load([], bases)), {})


def _run(located: LocatedCase, ctx: Context, project_id: int) -> Iterator[str]:
    lost: list[str] = []
    explained: list[tuple[Event, Explanation]] = []
    for number, sent in enumerate(located.case.all_events, 1):
        record = Record(
            orjson.dumps(sent, default=str), Form.JSON, located.file, number, ctx.now, Token("cases", 0, number), project_id
        )
        explained += [(item.event, explain_item(item, ctx)) for item in ungrouped_items([record], ctx, lost.append)]
    if lost:
        yield f"an event of the case was not accepted: {lost[0]}"
        return
    expect = located.case.expect
    for number, (event, explanation) in enumerate(explained, 1):
        which = f"event {number}: " if len(explained) > 1 else ""
        yield from (f"{which}{message}" for message in _differences(expect, event, explanation))
    if expect.together is not None:
        groups = {explanation.grouping.group_id(project_id) for _, explanation in explained}
        if expect.together and len(groups) > 1:
            yield f"expected one group, the {len(explained)} events are in {len(groups)}"
        if not expect.together and len(groups) < len(explained):
            yield f"expected a group for each, the {len(explained)} events are in {len(groups)}"


def _differences(expect: Expectation, event: Event, found: Explanation) -> Iterator[str]:
    if expect.fingerprint is not None and expect.fingerprint != found.fingerprint:
        yield f"expected fingerprint {list(expect.fingerprint)}, got {list(found.fingerprint)}"
    if expect.title is not None and expect.title != found.title:
        yield f"expected title {expect.title!r}, got {found.title!r}"
    if expect.in_app is not None:
        in_app = tuple(bool(frame.get("in_app")) for frame in crash_stack(event))
        if expect.in_app != in_app:
            yield f"expected in_app {list(expect.in_app)}, got {list(in_app)}"
    if expect.rule is not None:
        rule = found.matched_rule
        matched = f"{rule.file.rpartition('/')[2]}:{rule.line}" if rule is not None else "none"
        if expect.rule not in {matched, matched.rpartition(":")[0] or matched}:
            yield f"expected rule {expect.rule}, got {matched}"
