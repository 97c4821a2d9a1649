"""Explaining: the stages up to grouping, over recorded events, for people who ask why. Nothing is counted or stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from pipeline.grouping.explain.explanation import Explanation
from pipeline.model.item import Item
from pipeline.model.outcome import Fate
from pipeline.model.record import Record
from pipeline.model.title import name_event
from pipeline.stages import EXPLAINED
from pipeline.stages.contract import Context
from pipeline.stages.runner import run


def prepared_items(records: Iterable[Record], ctx: Context, on_lost: Callable[[str], None]) -> Iterator[Item]:
    """Give each event as grouping meets it. `on_lost` gets a line for one that never comes that far.

    What is no error event (a session, a client report) is passed over without a word.
    """
    for record in records:
        result = run([record], ctx, EXPLAINED)
        for letter in result.dead:
            on_lost(f"{record.source}:{record.position}: dead letter in {letter.stage}: {letter.reason} {letter.detail}".rstrip())
        for outcome in result.outcomes:
            if outcome.fate is not Fate.ACCEPTED and outcome.reason != "unsupported":
                on_lost(f"{record.source}:{record.position}: {outcome.fate.label}: {outcome.reason}")
        yield from result.events


def explain_records(records: Iterable[Record], ctx: Context, on_lost: Callable[[str], None]) -> Iterator[Explanation]:
    """Explain the grouping of each event."""
    return (explain_item(item, ctx) for item in prepared_items(records, ctx, on_lost))


def explain_item(item: Item, ctx: Context) -> Explanation:
    """Explain a prepared event's grouping, and name the event as the stage of grouping does."""
    explanation = ctx.rules.project(item.scope.project_id).grouper.explain(item.event, ctx.now)
    explanation.project_id = item.scope.project_id
    name_event(item.event, explanation.grouping.title)
    explanation.title = item.event["title"]
    return explanation
