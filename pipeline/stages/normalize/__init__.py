"""Normalize: brings an event into the form that every later stage relies on (`model/event.py`).

A field of a wrong type is repaired or dropped, and named in the event's `errors`. No event is refused here.
"""

from __future__ import annotations

from typing import cast

from pipeline.model.event import Event, RawEvent
from pipeline.model.item import Item
from pipeline.stages.contract import Context
from pipeline.stages.decode.stored import keep_symbolication
from pipeline.stages.normalize.event import normalize_event
from pipeline.stages.normalize.tags import MAX_TAGS

__all__ = ["normalize_event", "normalize_item"]


def normalize_item(item: Item[RawEvent], ctx: Context) -> Item[Event]:  # noqa: ARG001 -- every stage has this form
    """Normalize one item's event. Cost: linear in the event's size, no I/O. Running twice gives the same result."""
    sent = item.event
    event = normalize_event(
        sent,
        received=item.received,
        project_id=item.scope.project_id,
        event_id=item.event_id,
        client_ip=item.client_ip,
        key_id=item.scope.key_id,
        sent_at=item.sent_at,
        max_tags=None if item.is_stored else MAX_TAGS,
    )
    item.sent_at = None
    if item.is_stored:
        keep_symbolication(sent, event)
    normalized = cast("Item[Event]", item)
    normalized.event = event
    return normalized
