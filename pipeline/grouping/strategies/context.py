"""Context: what a strategy may use. A strategy is a function from an event and this to components by variant name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline.grouping.component import Component
from pipeline.grouping.configurations import Configuration

Variants = dict[str, Component]
"""`app` and `system` for what has a stack (or could), `default` for the rest."""


@dataclass(slots=True)
class GroupingContext:
    """One event being grouped.

    `stack_variants` gives a stack trace's components, None where it has no frames; `normalize` gives a message as it is compared.
    With `whole`, parts that cannot contribute are built all the same, to be shown; without, they may be left out.
    """

    configuration: Configuration
    platform: str
    stack_variants: Callable[[Any], Variants | None]
    normalize: Callable[[str], str]
    whole: bool
    main_exception_id: int | None = None
    """Set where an exception group comes down to one exception, which then names the event (spec, section 4.4)."""


Strategy = Callable[[dict[str, Any], GroupingContext], Variants]


def static_salt(text: Any) -> Component:
    """Give a leaf that keeps interfaces apart whose other leaves are equal."""
    return Component("salt", [text], hint="a static salt")


def interface_values(event: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Give the objects under `event[name].values`; an object or a list in its place is taken for the values."""
    interface = event.get(name)
    values = interface.get("values", [interface]) if isinstance(interface, dict) else interface
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def text_of(interface: dict[str, Any], key: str) -> str | None:
    """Give a field's text, None where it has none."""
    value = interface.get(key)
    return value if isinstance(value, str) else None
