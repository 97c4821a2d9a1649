"""The context of a strategy. A strategy is a function of an event and its context that returns components by variant name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.grouping.component import Component
from pipeline.grouping.configurations import Configuration
from pipeline.model.event import Event, Stacktrace

Variants = dict[str, Component]
"""Components by variant name: `app` and `system` for interfaces that can have a stack, `default` for the others."""


StackVariants = Callable[[Stacktrace | None], Variants | None]


@dataclass(slots=True)
class GroupingContext:
    """What a strategy needs to know about the event that is being grouped.

    `stack_variants` returns the components of a stack trace, or None if it has no frames. They can be hashed, and those of
    `comparable_stack_variants` can be compared too. `is_library_stack` says whether a stack is grouped together with the message
    because every frame of it is known to be a library's. `normalize` returns a message as it is compared. With `whole`, parts
    that cannot contribute are built too, so that `explain` can show them.

    A strategy sets `main_exception_id` if it reduces an exception group to one exception, which then names the event.
    """

    configuration: Configuration
    platform: str
    stack_variants: StackVariants
    comparable_stack_variants: StackVariants
    is_library_stack: Callable[[Stacktrace | None], bool]
    normalize: Callable[[str], str]
    whole: bool
    main_exception_id: int | None = None


Strategy = Callable[[Event, GroupingContext], Variants]


def static_salt(text: str | None) -> Component:
    """Return a component that keeps interfaces apart whose other leaves are equal."""
    return Component("salt", [text], hint="a static salt")
