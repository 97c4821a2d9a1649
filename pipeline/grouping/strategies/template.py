"""Strategy for templates: the file and source line of a server-side template that failed.

See docs/spec/grouping.md, "Security reports and templates".
"""

from __future__ import annotations

from typing import Any

from pipeline.grouping.component import Component
from pipeline.grouping.strategies.context import GroupingContext, Variants, text_of


def template(event: dict[str, Any], ctx: GroupingContext) -> Variants:
    """Group by the file name and the source line, both unchanged."""
    del ctx
    interface = event.get("template")
    if not isinstance(interface, dict) or not interface:
        return {}
    return {
        "default": Component(
            "template",
            [_leaf("filename", text_of(interface, "filename")), _leaf("context-line", text_of(interface, "context_line"))],
        )
    }


def _leaf(id: str, text: str | None) -> Component:  # noqa: A002 -- the contract's name
    return Component(id, [] if text is None else [text])
