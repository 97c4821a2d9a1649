"""Strategy for messages: the first two lines, with ids and numbers replaced. See docs/spec/grouping.md, "Messages"."""

from __future__ import annotations

from pipeline.grouping.component import Component
from pipeline.grouping.grouping_frame import SCRIPT
from pipeline.grouping.strategies.context import GroupingContext, Variants
from pipeline.grouping.strategies.engine_words import in_common_words
from pipeline.model.event import Event, Stacktrace

STRIPPED = "stripped event-specific values"
LIBRARY_STACK = "counts because every frame of the stack is a library's"


def by_message(event: Event, ctx: GroupingContext) -> Variants:
    """Group by the template of the log entry, else by the formatted text."""
    entry = event.get("logentry")
    if not entry:
        return {}
    text = entry.get("message") or entry.get("formatted") or ""
    normalized, hint = normalized_message(text, ctx)
    return {"default": Component("message", [normalized], hint=hint)}


def beside_library_stack(variants: Variants, stacktrace: Stacktrace | None, event: Event, ctx: GroupingContext) -> Variants:
    """Return the trees of a stack that belongs to no exception. If every frame is a library's, the message is added to each.

    Without a message it is the transaction.
    """
    if not ctx.is_library_stack(stacktrace):
        return variants
    entry = event.get("logentry") or {}
    text = entry.get("message") or entry.get("formatted") or ""
    if text.strip():
        said = Component("message", [normalized_message(text, ctx)[0]], hint=LIBRARY_STACK)
    elif event.get("transaction"):
        said = Component("transaction", [event.get("transaction")], hint=LIBRARY_STACK)
    else:
        return variants
    for component in variants.values():
        if component.contributes:
            component.update(values=[*component.values, said])
    return variants


def normalized_message(text: str, ctx: GroupingContext) -> tuple[str, str | None]:
    """Return a message as it is compared, and why it is not as it was sent (None: it is).

    Of a JavaScript engine's own messages the words are replaced that differ between engines.
    """
    table = ctx.configuration.engine_words
    said = in_common_words(text, table) if table is not None and ctx.platform in SCRIPT else None
    if said is not None:
        return ctx.normalize(said.value), f"in words for every engine, table of {table}"
    normalized = ctx.normalize(text)
    return normalized, STRIPPED if normalized != text else None
