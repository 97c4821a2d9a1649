"""Filter: drop events that a project asked not to receive."""

from __future__ import annotations

from pipeline.model.event import Event
from pipeline.model.item import Item
from pipeline.model.outcome import Fate, Outcome
from pipeline.stages.contract import Context


def filter_inbound(item: Item[Event], ctx: Context) -> Item[Event] | Outcome:
    """Reject an event that a filter matches.

    Takes    normalized events. Returns the others untouched.
    Rejects  FILTERED, reason = key of the first matching filter.
    Cost     the project's filters, no I/O. Running twice gives the same result.
    """
    reason = ctx.rules.project(item.scope.project_id).filters.first_match(item.event, item.client_ip)
    return item if reason is None else item.rejected(Fate.FILTERED, reason)
