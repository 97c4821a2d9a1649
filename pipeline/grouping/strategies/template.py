"""Strategy for templates: the file and source line of a server-side template that failed.

See docs/spec/grouping.md, "Security reports and templates".
"""

from __future__ import annotations

from pipeline.grouping.component import Component
from pipeline.grouping.strategies.context import GroupingContext, Variants
from pipeline.model.event import Event


def by_template(event: Event, ctx: GroupingContext) -> Variants:
    """Group by `filename` and `context_line` of the event's `template`. Neither is normalized. No template: no variants."""
    del ctx
    interface = event.get("template")
    if not interface:
        return {}
    return {
        "default": Component(
            "template",
            [_leaf("filename", interface.get("filename")), _leaf("context-line", interface.get("context_line"))],
        )
    }


def _leaf(id: str, text: str | None) -> Component:  # noqa: A002 -- the contract's name
    return Component(id, [] if text is None else [text])
