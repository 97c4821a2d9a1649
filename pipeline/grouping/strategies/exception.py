"""Strategy for exceptions: stack, type and value of each exception of a chain. See docs/spec/grouping.md, "Exceptions"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.grouping.component import Component
from pipeline.grouping.strategies.context import GroupingContext, Variants
from pipeline.grouping.strategies.exception_groups import has_ids, representatives
from pipeline.grouping.strategies.message import STRIPPED
from pipeline.model.event import Event, ExceptionValue, Mechanism, NsError
from pipeline.model.event import exceptions as exceptions_of


def by_exception(event: Event, ctx: GroupingContext) -> Variants:
    """Group by the only exception, or by the chain. Of an exception group the distinct members count."""
    exceptions = exceptions_of(event)
    if not exceptions:
        return {}
    components = [_exception(exceptions[index], ctx, whole=ctx.whole) for index in choose_exceptions(exceptions, ctx)]
    if len(components) == 1:
        return components[0]

    by_variant: dict[str, list[Any]] = {}
    for variants in components:
        for name, component in variants.items():
            by_variant.setdefault(name, []).append(component)
    return {name: Component("chained-exception", parts) for name, parts in by_variant.items()}


def choose_exceptions(exceptions: Sequence[ExceptionValue], ctx: GroupingContext) -> Sequence[int]:
    """Return the indexes of the exceptions to group by. Sets `ctx.main_exception_id` if a group is reduced to one of them."""
    if len(exceptions) < 2 or not has_ids(exceptions):
        return range(len(exceptions))
    chosen, ctx.main_exception_id = representatives(exceptions, lambda one: _identity(_exception(one, ctx, whole=True)))
    return chosen


def _exception(data: ExceptionValue, ctx: GroupingContext, *, whole: bool) -> Variants:
    stack = ctx.stack_variants(data.get("stacktrace")) or {"app": Component("stacktrace")}
    kind = data.get("type")
    type_ = Component("type", [kind] if kind else [])
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
        if message is not None and (whole or not (stacktrace.contributes or ns_error)):
            value = _value(message, stacktrace, ns_error, ctx)
        rest = [part for part in (ns_error, value or (Component("value") if whole else None)) if part is not None]
        stack_first = ctx.configuration.exception_order == "stack-first"
        variants[name] = Component("exception", [stacktrace, type_, *rest] if stack_first else [type_, *rest, stacktrace])
    return variants


def _value(message: str, stacktrace: Component, ns_error: Component | None, ctx: GroupingContext) -> Component:
    normalized = ctx.normalize(message)
    value = Component(
        "value", [normalized] if normalized else [], hint=STRIPPED if normalized and normalized != message else None
    )
    if value.contributes and stacktrace.contributes:
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


def _identity(variants: Variants) -> tuple[tuple[str, bytes], ...]:
    return tuple((name, component.identity()) for name, component in variants.items())
