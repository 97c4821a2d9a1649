"""Messages: `logentry` from whatever form a message was sent in, with its parameters filled in."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pipeline.stages.normalize.bags import free_value
from pipeline.stages.normalize.json_text import to_json_text
from pipeline.stages.normalize.report import Path, Report
from pipeline.stages.normalize.values import json_string, string, trim

LIMIT, ALLOWANCE = 8192, 200

_PRINTF = re.compile(r"%(?:\(([^)%]{1,100})\))?[#0+ -]*(?:\d{1,9}|\*)?(?:\.\d{0,9})?([a-zA-Z%])")
_BRACES = re.compile(r"\{\{|\}\}|\{([^{}]{0,100})\}")
_params = free_value(2048, 5)


class _UnfilledError(Exception):
    """A placeholder has no parameter: the message stays as it is."""


def logentry(value: Any, path: Path, report: Report) -> dict[str, Any] | None:
    """Give `{formatted, message?, params?}`. `message` stays only where it differs from what it was formatted to."""
    if value is None:
        return None
    if type(value) is not dict:
        value = {"formatted": json_string(value, path, report)}
    if not value:
        return None
    template = string(value.get("message"), (path, "message"), report)
    formatted = string(value.get("formatted"), (path, "formatted"), report)
    params = value.get("params")
    if params is not None and type(params) not in (dict, list):
        report.invalid((path, "params"), "expected message parameters", params)
        params = None
    if not template and not formatted:
        if template is None and formatted is None:
            report.invalid(path, "no message present", {"formatted": None, "message": None, "params": None})
        return None
    if template and not formatted:
        formatted = fill(template, params)
    result: dict[str, Any] = {}
    if formatted:
        result["formatted"] = trim(formatted, (path, "formatted"), report, LIMIT, ALLOWANCE)
    if template and template != formatted:
        result["message"] = trim(template, (path, "message"), report, LIMIT, ALLOWANCE)
    if params:
        result["params"] = _params(params, (path, "params"), report)
    return result


def fill(template: str, params: Any) -> str:
    """Put parameters into a message, printf's way where it holds a `%`, else by braces; the message itself where that fails."""
    if not params:
        return template
    try:
        if "%" in template:
            return _Filling(params).substitute(_PRINTF, template, lambda match: "%" if match[2] == "%" else None)
        if "{" in template:
            return _Filling(params).substitute(_BRACES, template, lambda match: match[0][0] if match[0] in {"{{", "}}"} else None)
    except _UnfilledError:
        pass
    return template


class _Filling:
    """One pass over a message's placeholders; those without a name take the list's parameters in turn."""

    def __init__(self, params: Any) -> None:
        self.params = params
        self.next = 0
        self.room = LIMIT + ALLOWANCE + 1

    def substitute(self, pattern: re.Pattern[str], template: str, literal: Callable[[re.Match[str]], str | None]) -> str:
        parts: list[str] = []
        end = 0
        for match in pattern.finditer(template[: self.room]):
            parts.append(template[end : match.start()])
            fixed = literal(match)
            parts.append(fixed if fixed is not None else self.parameter(match[1]))
            end = match.end()
        parts.append(template[end:])
        return "".join(parts)

    def parameter(self, name: str | None) -> str:
        try:
            if type(self.params) is dict:
                value = self.params[name or ""]
            else:
                index = int(name) if name else self.next
                self.next += 0 if name else 1
                value = self.params[index]
        except (KeyError, IndexError, ValueError):
            raise _UnfilledError from None
        if type(value) is str:
            return value[: self.room]
        if value is None or isinstance(value, bool):
            raise _UnfilledError
        return (to_json_text(value) or "")[: self.room]
