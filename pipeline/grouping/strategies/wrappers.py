"""Wrappers: exceptions that runtimes and frameworks attach to another one, and that carry no information of their own.

Kotlin's coroutines attach one for debugging. React's error boundary attaches one with the message of the error that it caught,
and with the components of the page as its stack. Since `pipeline:2026-12-01` such exceptions are ignored for grouping and titles,
if the event has another exception. See docs/spec/grouping.md, "Wrappers".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pipeline.model.event import ExceptionValue

ECHOING_TYPES = ("React ErrorBoundary ",)
"""The beginnings of types whose exceptions repeat the message of the error that they were made for."""


def repeats_another(exception: ExceptionValue, exceptions: Sequence[ExceptionValue]) -> bool:
    """Whether an exception of `ECHOING_TYPES` has no message of its own."""
    if not may_echo(exception):
        return False
    return any(other is not exception and other.get("value") == exception.get("value") for other in exceptions)


def may_echo(exception: ExceptionValue) -> bool:
    """Whether an exception is of `ECHOING_TYPES`."""
    return (exception.get("type") or "").startswith(ECHOING_TYPES)


def wrappers_of(exceptions: Sequence[ExceptionValue], has_stack: Callable[[ExceptionValue], bool]) -> frozenset[int]:
    """Return the indexes of the exceptions that carry no information of their own. Empty if that holds for all of them."""
    found = frozenset(
        index
        for index, one in enumerate(exceptions)
        if (not (one.get("value") or "").strip() and not has_stack(one)) or repeats_another(one, exceptions)
    )
    return found if len(found) < len(exceptions) else frozenset()
