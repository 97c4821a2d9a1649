"""Strategy for threads: the stack of the one thread that counts. See docs/spec/grouping.md, "From event to hashes"."""

from __future__ import annotations

from pipeline.grouping.component import Component
from pipeline.grouping.configurations import Configuration
from pipeline.grouping.strategies.context import GroupingContext, Variants
from pipeline.grouping.strategies.message import beside_library_stack
from pipeline.model.event import Event, ExceptionValue, Stacktrace, Thread, frames_in, threads


def by_threads(event: Event, ctx: GroupingContext) -> Variants:
    """Group by the stack of the only crashed thread, else of the only current one, else of the only one."""
    if not event.get("threads"):
        return {}
    everyone = threads(event)
    for candidates in ([t for t in everyone if t.get("crashed")], [t for t in everyone if t.get("current")], everyone):
        if len(candidates) == 1:
            return _thread(candidates[0], event, ctx)
    hint = (
        "ignored because does not contain exactly one crashing, one current or just one thread, "
        f"instead contains {len(everyone)} threads"
    )
    return {"app": Component("threads", contributes=False, hint=hint)}


def stack_of(exception: ExceptionValue, event: Event, configuration: Configuration) -> Stacktrace | None:
    """Return an exception's stack trace.

    If it has none but names a thread, the stack of that thread is returned, if the configuration says so.
    """
    own = exception.get("stacktrace")
    if not configuration.stack_of_named_thread or frames_in(own):
        return own
    named = exception.get("thread_id")
    if named is None:
        return own
    return next((thread.get("stacktrace") for thread in threads(event) if _same_id(thread.get("id"), named)), own)


def _same_id(one: int | str | None, other: int | str) -> bool:
    """Whether two ids name one thread. Some SDKs write numbers as text."""
    return one is not None and str(one) == str(other)


def _thread(thread: Thread, event: Event, ctx: GroupingContext) -> Variants:
    stack = ctx.stack_variants(thread.get("stacktrace"))
    if stack is None:
        return {"app": Component("threads", contributes=False, hint="thread has no stacktrace")}
    stack = beside_library_stack(stack, thread.get("stacktrace"), event, ctx)
    return {name: Component("threads", [component]) for name, component in stack.items()}
