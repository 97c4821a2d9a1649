"""Strategy for exceptions: stack, type and value of each exception of a chain. See docs/spec/grouping.md, "Exceptions"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.grouping.component import Component
from pipeline.grouping.configurations import Configuration
from pipeline.grouping.grouping_frame import SCRIPT
from pipeline.grouping.strategies.context import GroupingContext, StackVariants, Variants
from pipeline.grouping.strategies.engine_words import type_in_common
from pipeline.grouping.strategies.exception_groups import has_ids, representatives
from pipeline.grouping.strategies.message import LIBRARY_STACK, normalized_message
from pipeline.grouping.strategies.threads import stack_of
from pipeline.grouping.strategies.wrappers import wrappers_of
from pipeline.model.event import Event, ExceptionValue, Mechanism, NsError, frames_in
from pipeline.model.event import exceptions as exceptions_of

COMMON_TYPE = "the type that JavaScript engines share for this message"


def by_exception(event: Event, ctx: GroupingContext) -> Variants:
    """Group by the only exception, or by the chain. Of an exception group the distinct members count."""
    exceptions = exceptions_of(event)
    if not exceptions:
        return {}
    chosen = choose_exceptions(event, ctx)
    components = [_exception(exceptions[index], event, ctx, ctx.stack_variants, whole=ctx.whole) for index in chosen]
    if len(components) == 1:
        return components[0]

    by_variant: dict[str, list[Any]] = {}
    for variants in components:
        for name, component in variants.items():
            by_variant.setdefault(name, []).append(component)
    return {name: Component("chained-exception", parts) for name, parts in by_variant.items()}


def choose_exceptions(event: Event, ctx: GroupingContext) -> Sequence[int]:
    """Return the indexes of the exceptions to group by.

    Sets `ctx.main_exception_id` if an exception group is reduced to one of them, or if the last exception is a wrapper.
    """
    exceptions = exceptions_of(event)
    if len(exceptions) < 2:
        return range(len(exceptions))
    if not ctx.configuration.skip_wrappers:
        return _representatives(exceptions, range(len(exceptions)), event, ctx)
    wrappers = wrappers_of(exceptions, lambda one: bool(frames_in(stack_of(one, event, ctx.configuration))))
    parents = {(one.get("mechanism") or {}).get("parent_id") for one in exceptions}
    inner = {index for index in wrappers if (exceptions[index].get("mechanism") or {}).get("exception_id") in parents - {None}}
    chosen = _representatives(
        exceptions, [index for index in range(len(exceptions)) if index not in wrappers - inner], event, ctx
    )
    left = [index for index in chosen if index not in wrappers]
    if not left:
        left = [index for index in range(len(exceptions)) if index not in wrappers]
    if wrappers and (ctx.main_exception_id is None or left != list(chosen)):
        ctx.main_exception_id = _main_id(exceptions, wrappers, left)
    return left


def _main_id(exceptions: Sequence[ExceptionValue], wrappers: frozenset[int], left: Sequence[int]) -> int | None:
    """Return the id of the exception to name the event after if the last one, which would name it, is a wrapper."""
    if len(exceptions) - 1 not in wrappers:
        return None
    return (exceptions[max(left)].get("mechanism") or {}).get("exception_id")


def _representatives(
    exceptions: Sequence[ExceptionValue], candidates: Sequence[int], event: Event, ctx: GroupingContext
) -> Sequence[int]:
    """Return those of the candidates to group by. See `exception_groups.py`."""
    members = [exceptions[index] for index in candidates]
    if len(members) < 2 or not has_ids(members):
        return candidates
    chosen, ctx.main_exception_id = representatives(members, lambda one: _identity(one, event, ctx))
    return [candidates[index] for index in chosen]


def _exception(data: ExceptionValue, event: Event, ctx: GroupingContext, stacks: StackVariants, *, whole: bool) -> Variants:
    stacktrace_of_it = stack_of(data, event, ctx.configuration)
    stack = stacks(stacktrace_of_it) or {"app": Component("stacktrace")}
    by_message = ctx.is_library_stack(stacktrace_of_it)
    kind = data.get("type")
    shared = common_type(data, ctx.platform, ctx.configuration)
    type_ = Component("type", [shared] if shared else [], hint=COMMON_TYPE if shared != kind else None)
    mechanism = data.get("mechanism")
    ns_error = None
    if mechanism:
        if mechanism.get("synthetic"):  # its type is an error code of the platform
            type_.update(contributes=False, hint="ignored because exception is synthetic")
        error = ns_error_of(mechanism)
        ns_error = None if error is None else _ns_error(error)
    message = data.get("value")

    variants = {}
    for name, stacktrace in stack.items():
        value = None
        if by_message and not (message or "").strip() and event.get("transaction"):
            value = Component("transaction", [event["transaction"]], hint=LIBRARY_STACK)
        elif message is not None and (whole or by_message or not (stacktrace.contributes or ns_error)):
            value = _value(message, stacktrace, ns_error, ctx, beside_stack=by_message)
        rest = [part for part in (ns_error, value or (Component("value") if whole else None)) if part is not None]
        stack_first = ctx.configuration.exception_order == "stack-first"
        variants[name] = Component("exception", [stacktrace, type_, *rest] if stack_first else [type_, *rest, stacktrace])
    return variants


def common_type(data: ExceptionValue, platform: str, configuration: Configuration) -> str | None:
    """Return the type that an exception is grouped by. The configuration may make it the same for all JavaScript engines."""
    kind = data.get("type")
    if configuration.engine_words is None or not kind or platform not in SCRIPT:
        return kind
    return type_in_common(kind, data.get("value") or "", configuration.engine_words)


def _value(
    message: str, stacktrace: Component, ns_error: Component | None, ctx: GroupingContext, *, beside_stack: bool
) -> Component:
    """Return the message's component. With `beside_stack` it counts although the stack does."""
    normalized, hint = normalized_message(message, ctx)
    value = Component("value", [normalized] if normalized else [], hint=hint if normalized else None)
    if value.contributes and stacktrace.contributes and beside_stack:
        value.update(hint=f"{value.hint}; {LIBRARY_STACK}" if value.hint else LIBRARY_STACK)
    elif value.contributes and stacktrace.contributes:
        value.update(contributes=False, hint="ignored because stacktrace takes precedence")
    elif value.contributes and ns_error is not None:
        value.update(contributes=False, hint="ignored because ns-error info takes precedence")
    return value


def ns_error_of(mechanism: Mechanism) -> NsError | None:
    """Return `meta.ns_error`, the error of an Apple framework, or None."""
    meta = mechanism.get("meta")
    return meta.get("ns_error") if meta else None


def _ns_error(error: NsError) -> Component:
    return Component("ns-error", [error.get("domain"), error.get("code")])


def _identity(exception: ExceptionValue, event: Event, ctx: GroupingContext) -> tuple[tuple[str, bytes], ...]:
    """Return what is equal for exceptions that group alike."""
    variants = _exception(exception, event, ctx, ctx.comparable_stack_variants, whole=True)
    return tuple((name, component.identity()) for name, component in variants.items())
