"""Group: which problem an event belongs to (spec/grouping.md)."""

from __future__ import annotations

from pipeline.model.item import Item
from pipeline.stages.contract import Context


def group(item: Item, ctx: Context) -> Item:
    """Compute the event's hashes under its project's rules.

    Takes    normalized, symbolicated events. Gives every one of them; rejects nothing.
    Writes   `grouping`; in the event, frames' in_app and function names, and the fingerprint that a rule gave.
    Cost     some 50 µs for a stack seen before, one millisecond for a new one. Running twice gives the same result.
    """
    grouper = ctx.rules.project(item.scope.project_id).grouper
    item.grouping = grouper.group(item.event, now=ctx.now)
    return item
