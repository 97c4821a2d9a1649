"""Recorded events taken through the stages before grouping, and explanations of how they group."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from pipeline.grouping.explain.explanation import Explanation
from pipeline.model.event import Event
from pipeline.model.item import Item
from pipeline.model.outcome import Fate
from pipeline.model.record import Record
from pipeline.model.title import name_event
from pipeline.stages import EXPLAINED
from pipeline.stages.contract import Context, Order
from pipeline.stages.runner import run


def ungrouped_items(
    records: Iterable[Record], ctx: Context, on_lost: Callable[[str], None], order: Order = EXPLAINED
) -> Iterator[Item[Event]]:
    """Yield each event as the stage of grouping would receive it.

    `on_lost` is called with a line of text for each event that a stage before grouping refused. Items that are no error events,
    such as sessions and client reports, are skipped without a call.
    """
    for record in records:
        result = run([record], ctx, order)
        for letter in result.dead:
            on_lost(f"{record.source}:{record.position}: dead letter in {letter.stage}: {letter.reason} {letter.detail}".rstrip())
        for outcome in result.outcomes:
            if outcome.fate is not Fate.ACCEPTED and outcome.reason != "unsupported":
                on_lost(f"{record.source}:{record.position}: {outcome.fate.label}: {outcome.reason}")
        yield from result.events


def explain_records(records: Iterable[Record], ctx: Context, on_lost: Callable[[str], None]) -> Iterator[Explanation]:
    """Yield the explanation of each event's grouping. `on_lost` is called as by `ungrouped_items`."""
    return (explain_item(item, ctx) for item in ungrouped_items(records, ctx, on_lost))


def explain_item(item: Item[Event], ctx: Context) -> Explanation:
    """Explain the grouping of an item from `ungrouped_items`.

    Sets the title of the item's event, as the stage of grouping does.
    """
    explanation = ctx.rules.project(item.scope.project_id).grouper.explain(item.event, ctx.now)
    explanation.project_id = item.scope.project_id
    name_event(item.event, explanation.grouping.title)
    explanation.title = item.event["title"]
    return explanation
