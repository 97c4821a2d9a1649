"""The context of a strategy. A strategy is a function of an event and its context that returns components by variant name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline.grouping.component import Component
from pipeline.grouping.configurations import Configuration

Variants = dict[str, Component]
"""Components by variant name: `app` and `system` for interfaces that can have a stack, `default` for the others."""


@dataclass(slots=True)
class GroupingContext:
    """What a strategy needs to know about the event that is being grouped.

    `stack_variants` returns the components of a stack trace, or None if it has no frames. `normalize` returns a message as it is
    compared. With `whole`, parts that cannot contribute are built too, so that `explain` can show them.

    A strategy sets `main_exception_id` if it reduces an exception group to one exception, which then names the event.
    """

    configuration: Configuration
    platform: str
    stack_variants: Callable[[Any], Variants | None]
    normalize: Callable[[str], str]
    whole: bool
    main_exception_id: int | None = None


Strategy = Callable[[dict[str, Any], GroupingContext], Variants]


def static_salt(text: Any) -> Component:
    """Return a component that keeps interfaces apart whose other leaves are equal."""
    return Component("salt", [text], hint="a static salt")


def interface_values(event: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the objects in `event[name].values`. A list in place of the interface counts as its values."""
    interface = event.get(name)
    values = interface.get("values", [interface]) if isinstance(interface, dict) else interface
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def text_of(interface: dict[str, Any], key: str) -> str | None:
    """Return a field if it is text, else None."""
    value = interface.get(key)
    return value if isinstance(value, str) else None
