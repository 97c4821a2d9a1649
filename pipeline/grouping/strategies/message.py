"""Strategy for messages: the first two lines, with ids and numbers replaced. See docs/spec/grouping.md, "Messages"."""

from __future__ import annotations

from pipeline.grouping.component import Component
from pipeline.grouping.strategies.context import GroupingContext, Variants
from pipeline.model.event import Event

STRIPPED = "stripped event-specific values"


def by_message(event: Event, ctx: GroupingContext) -> Variants:
    """Group by the template of the log entry, else by the formatted text."""
    entry = event.get("logentry")
    if not entry:
        return {}
    text = entry.get("message") or entry.get("formatted") or ""
    normalized = ctx.normalize(text)
    return {"default": Component("message", [normalized], hint=STRIPPED if normalized != text else None)}
