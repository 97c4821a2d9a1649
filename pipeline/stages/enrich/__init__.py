"""Enrich: add what can be told from the event itself: browser, system and device, title, culprit and location."""

from __future__ import annotations

from typing import Any

from pipeline.grouping.function_names import trim_function
from pipeline.model.item import Item
from pipeline.model.title import culprit, metadata, title
from pipeline.stages.contract import Context
from pipeline.stages.enrich.client import add_client_contexts

__all__ = ["enrich", "enrich_event"]


def enrich(item: Item, ctx: Context) -> Item:  # noqa: ARG001 -- every stage has this form
    """Enrich one normalized item in place. Cost: a few look-ups, no I/O. Running twice gives the same result."""
    enrich_event(item.event)
    return item


def enrich_event(event: dict[str, Any]) -> None:
    """Add contexts of the user agent, then `title`, `culprit`, `metadata` and `location`. What the sender named wins."""
    add_client_contexts(event)
    found = metadata(event, trim_function)
    event["metadata"] = found
    event["title"] = title(event["type"], found)
    event["culprit"] = event.get("culprit") or event.get("transaction") or culprit(event)
    if "filename" in found:
        event["location"] = found["filename"]
