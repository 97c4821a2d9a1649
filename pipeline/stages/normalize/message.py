"""Messages: builds `logentry` from each form in which a message can be sent, with its parameters filled in."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pipeline.model.event_path import EventPath
from pipeline.stages.normalize.json_text import to_json_text
from pipeline.stages.normalize.remarks import Remarks
from pipeline.stages.normalize.size_limits import free_value
from pipeline.stages.normalize.values import json_string, string, trim

LIMIT, ALLOWANCE = 8192, 200

_PRINTF = re.compile(
    r"%(?:\((?P<name>[^)%]{1,100})\))?(?P<flags>[#0+-]{0,5})(?:\d{1,9}|\*)?(?:\.\d{0,9})?[hlL]{0,2}(?P<conversion>[diouxXeEfFgGcrsa%])"
)
_BRACES = re.compile(r"\{\{|\}\}|\{(?P<name>[^{}]{0,100})\}")
_params = free_value(2048, 5)


class _UnfilledError(Exception):
    """A placeholder has no parameter, so the message stays as it is."""


def logentry(value: Any, path: EventPath, remarks: Remarks) -> dict[str, Any] | None:
    """Return `{formatted, message?, params?}`. `message` is kept only if it differs from the formatted text."""
    if value is None:
        return None
    if type(value) is not dict:
        value = {"formatted": json_string(value, path, remarks)}
    if not value:
        return None
    if not any(type(value.get(key)) is str for key in ("message", "formatted")):
        remarks.invalid(path, "no message present", {"formatted": None, "message": None, "params": None})
        return None
    template = string(value.get("message"), (path, "message"), remarks)
    formatted = string(value.get("formatted"), (path, "formatted"), remarks)
    params = value.get("params")
    if params is not None and type(params) not in (dict, list):
        remarks.invalid((path, "params"), "expected message parameters", params)
        params = None
    if not template and not formatted:
        return None
    if template and formatted is None:
        formatted, length = fill(template, params)
        if length > LIMIT + ALLOWANCE:
            remarks.shortened((path, "formatted"), length)
    result: dict[str, Any] = {}
    if formatted is not None:
        result["formatted"] = trim(formatted, (path, "formatted"), remarks, LIMIT, ALLOWANCE)
    if template is not None and template != formatted:
        result["message"] = trim(template, (path, "message"), remarks, LIMIT, ALLOWANCE)
    if params is not None:
        result["params"] = _params(params, (path, "params"), remarks)
    return result


def fill(template: str, params: Any) -> tuple[str, int]:
    """Return a message with its parameters filled in: by printf's rules if it contains a `%`, else by braces.

    Also return the length in characters that the whole message would have. The text itself is cut to what can be kept.
    """
    filling = _Filling(params)
    try:
        if params is not None and "%" in template:
            return filling.substitute(_PRINTF, template, filling.printf)
        if params is not None and "{" in template:
            return filling.substitute(_BRACES, template, filling.braces)
    except _UnfilledError:
        pass
    return template, len(template)


class _Filling:
    """Fills the placeholders of one message. Placeholders without a name take the parameters in turn."""

    def __init__(self, params: Any) -> None:
        self.params = params
        self.next = 0
        self.left = LIMIT + ALLOWANCE + 1
        self.dropped = 0
        """Number of characters of parameters and message that were cut off."""

    def substitute(self, pattern: re.Pattern[str], template: str, replace: Callable[[re.Match[str]], str]) -> tuple[str, int]:
        """Return the kept part of the message with its placeholders replaced."""
        kept = template[: LIMIT + ALLOWANCE + 1]
        filled = pattern.sub(replace, kept)
        return filled, len(filled) + self.dropped + len(template) - len(kept)

    def printf(self, match: re.Match[str]) -> str:
        """Return the text for a printf placeholder. Widths and precisions are ignored."""
        conversion = match["conversion"]
        if conversion == "%":
            return "%"
        value = self.parameter(match["name"])
        if type(value) is int and conversion in "xXo":
            return format(value, f"#{conversion}" if "#" in match["flags"] else conversion)
        return self.text_of(value, quoted=conversion == "r")

    def braces(self, match: re.Match[str]) -> str:
        """Return the text for a placeholder in braces. Doubled braces stand for one."""
        return match[0][0] if match["name"] is None else self.text_of(self.parameter(match["name"]))

    def parameter(self, name: str | None) -> Any:
        """Return a parameter by name or index, or the next one."""
        try:
            if type(self.params) is dict:
                return self.params[name or ""]
            if name:
                return self.params[int(name)]
            self.next += 1
            return self.params[self.next - 1]
        except (KeyError, IndexError, ValueError):
            raise _UnfilledError from None

    def text_of(self, value: Any, *, quoted: bool = False) -> str:
        """Return a parameter as text. A value of another type becomes its JSON."""
        if value is None:
            raise _UnfilledError
        if type(value) is float and value.is_integer():
            value = int(value)
        text = value if type(value) is str and not quoted else to_json_text(value) or ""
        kept = text[: self.left]  # the rest would be cut off anyway, and a short message can name a long parameter many times
        self.left -= len(kept)
        self.dropped += len(text) - len(kept)
        return kept
