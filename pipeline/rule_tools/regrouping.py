"""Regrouping: recorded events grouped under two versions of the rules, side by side. Nothing is counted or stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pipeline.model.grouping import Grouping
from pipeline.model.item import Item
from pipeline.model.record import Record
from pipeline.model.title import metadata, title
from pipeline.rule_tools.explaining import prepared_items
from pipeline.rule_tools.group_diff import Example, GroupsDiff, Place, Report
from pipeline.stages.contract import Context


def regroup(records: Iterable[Record], before: Context, after: Context, on_lost: Callable[[str], None]) -> Report:
    """Group each event under both contexts and report what changes. `on_lost` gets a line for what cannot be compared."""
    diff = GroupsDiff()
    for record in records:
        old = list(prepared_items([record], before, on_lost))
        new = list(prepared_items([record], after, lambda _: None))
        if [item.event_id for item in old] != [item.event_id for item in new]:
            on_lost(f"{record.source}:{record.position}: under one version of the rules this is no event, and is left out")
            continue
        for item, changed in zip(old, new, strict=True):
            grouping, regrouped = _group(item, before), _group(changed, after)
            example = Example(item.event_id, f"{record.source}:{record.position}", _title(item, grouping))
            diff.add(_place(item, grouping), _place(changed, regrouped), example)
    return diff.report()


def _group(item: Item, ctx: Context) -> Grouping:
    return ctx.rules.project(item.scope.project_id).grouper.group(item.event, ctx.now)


def _place(item: Item, grouping: Grouping) -> Place:
    project_id = item.scope.project_id
    return Place(project_id, grouping.group_id(project_id), grouping.primary_hash)


def _title(item: Item, grouping: Grouping) -> str:
    kind = item.event.get("type")
    return grouping.title or title(kind if isinstance(kind, str) else None, metadata(item.event))
