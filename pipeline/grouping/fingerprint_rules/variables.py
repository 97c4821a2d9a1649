"""Variables of fingerprints and titles, such as `{{ transaction }}` and `{{ tags.region }}`, and their values in an event.

See docs/spec/fingerprint-rules.md, "Variables".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import get_close_matches
from typing import Literal

from pipeline.grouping.fingerprint_rules.event_paths import FIELDS, PREFIX, text_at
from pipeline.model.event import Event, crash_frame, last_exception, message_of, tags_of

RAW = frozenset({"raw_message", "raw_value", "error.raw_value"})
"""The variables that stand for a text as it was sent, where `message` and `value` may be parameterized."""

_VARIABLE = re.compile(r"\{\{\s*(\S+)\s*\}\}")


def variable_in(value: str) -> str | None:
    """Return the variable's name if a fingerprint value is one variable and nothing else, else None."""
    found = _VARIABLE.fullmatch(value)
    return found[1] if found else None


def is_default(value: str) -> bool:
    """Whether a fingerprint value is `{{ default }}`, which stands for the event's own grouping."""
    return variable_in(value) == "default"


def is_unknown(value: str) -> bool:
    """Whether a fingerprint value has the form of a variable, but its name is unknown."""
    name = variable_in(value)
    return name is not None and name != "default" and not _is_known(name)


def is_raw(value: str) -> bool:
    """Whether a fingerprint value is a variable that stands for a text as it was sent, so that it is never parameterized."""
    name = variable_in(value)
    return name is not None and (name in RAW or name.startswith(PREFIX))


def _is_known(name: str) -> bool:
    return name in _VARIABLES or name.startswith("tags.") or (name.startswith(PREFIX) and name != PREFIX)


def unknown_in(template: str) -> list[str]:
    """Return the names in a title that are no variables, `default` included: it stands for no text."""
    return [name for name in _VARIABLE.findall(template) if not _is_known(name)]


def closest_to(name: str) -> str | None:
    """Return the variable that is spelled most like a name, or None if none is like it."""
    if name.partition(".")[0] in FIELDS and "." in name:
        return PREFIX + name
    return next(iter(get_close_matches(name, _VARIABLES, 1)), None)


def is_inside_text(value: str) -> bool:
    """Whether a fingerprint value has a variable inside of a longer text, where it is not replaced."""
    return variable_in(value) is None and _VARIABLE.search(value) is not None


def resolve(value: str, event: Event) -> str:
    """Return a fingerprint value with its variable replaced. Texts, `{{ default }}` and unknown variables stay."""
    name = variable_in(value)
    found = _value_of(name, event) if name is not None else None
    return value if found is None else found


def expand(template: str, event: Event) -> str:
    """Return a title with its variables replaced. Unknown variables stay."""

    def replace(match: re.Match[str]) -> str:
        found = _value_of(match[1], event)
        return match[0] if found is None else found

    return _VARIABLE.sub(replace, template)


def _value_of(name: str, event: Event) -> str | None:
    read = _VARIABLES.get(name)
    if read is not None:
        return read(event)
    if name.startswith("tags."):
        tag = name.removeprefix("tags.")
        return tags_of(event).get(tag, f"<no-value-for-tag-{tag}>")
    if name.startswith(PREFIX):
        found = text_at(event, name)
        return found if found is not None else f"<no-value-for-{name}>"
    return None


def _of_exception(event: Event, key: Literal["type", "value"]) -> str | None:
    """Return a text of the reported exception, or None if it is missing or empty."""
    exception = last_exception(event)
    return (exception.get(key) or None) if exception is not None else None


def _of_frame(default: str, *keys: Literal["function", "abs_path", "filename", "module"]) -> Callable[[Event], str]:
    """Return a reader of the first of `keys` that the crash frame has."""

    def read(event: Event) -> str:
        frame = crash_frame(event) or {}
        return next((text for key in keys if (text := frame.get(key))), default)

    return read


def _package(event: Event) -> str:
    package = (crash_frame(event) or {}).get("package")
    return package.replace("\\", "/").rpartition("/")[2] or "<no-package>" if package else "<no-package>"


_VARIABLES: dict[str, Callable[[Event], str]] = {
    "transaction": lambda event: event.get("transaction") or "<no-transaction>",
    "message": lambda event: message_of(event) or _of_exception(event, "value") or "<no-message>",
    "type": lambda event: _of_exception(event, "type") or "<no-type>",
    "value": lambda event: _of_exception(event, "value") or "<no-value>",
    "function": _of_frame("<no-function>", "function"),
    "path": _of_frame("<no-abs-path>", "abs_path", "filename"),
    "stack.filename": _of_frame("<no-filename>", "filename", "abs_path"),
    "module": _of_frame("<no-module>", "module"),
    "package": _package,
    "level": lambda event: event.get("level") or "<no-level>",
    "logger": lambda event: event.get("logger") or "<no-logger>",
}
_VARIABLES |= {
    "raw_message": _VARIABLES["message"],
    "raw_value": _VARIABLES["value"],
    "error.raw_value": _VARIABLES["value"],
    "error.type": _VARIABLES["type"],
    "error.value": _VARIABLES["value"],
    "stack.function": _VARIABLES["function"],
    "stack.abs_path": _VARIABLES["path"],
    "stack.module": _VARIABLES["module"],
    "stack.package": _VARIABLES["package"],
}
