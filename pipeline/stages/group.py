"""Group: which problem an event belongs to (spec/grouping.md)."""

from __future__ import annotations

from pipeline.model.item import Item
from pipeline.model.title import metadata, title
from pipeline.stages.contract import Context


def group(item: Item, ctx: Context) -> Item:
    """Compute the event's hashes under its project's rules.

    Takes    normalized, symbolicated events. Gives every one of them; rejects nothing.
    Writes   `grouping`; in the event, frames' in_app and function names, the fingerprint in force, and where an exception group
             comes down to one exception, that one's title.
    Cost     some 50 µs for a stack seen before, one millisecond for a new one. Running twice gives the same result.
    """
    event = item.event
    named_by = event.get("main_exception_id")
    item.grouping = ctx.rules.project(item.scope.project_id).grouper.group(event, now=ctx.now)
    if event.get("main_exception_id") != named_by:
        event["metadata"] = metadata(event)
        event["title"] = title(event.get("type"), event["metadata"])
    return item
