"""Strategy for messages: the first two lines, with ids and numbers replaced. See docs/spec/grouping.md, "Messages"."""

from __future__ import annotations

from typing import Any

from pipeline.grouping.component import Component
from pipeline.grouping.strategies.context import GroupingContext, Variants, text_of

STRIPPED = "stripped event-specific values"


def message(event: dict[str, Any], ctx: GroupingContext) -> Variants:
    """Group by the template of the log entry, else by the formatted text."""
    entry = event.get("logentry")
    if not isinstance(entry, dict) or not entry:
        return {}
    text = text_of(entry, "message") or text_of(entry, "formatted") or ""
    normalized = ctx.normalize(text)
    return {"default": Component("message", [normalized], hint=STRIPPED if normalized != text else None)}
