"""Exceptions: type, value and stack, in every form that SDKs send."""

from __future__ import annotations

import re
from typing import Any

from pipeline.model.event_path import EventPath
from pipeline.stages.normalize.mechanisms import mechanism
from pipeline.stages.normalize.remarks import Remarks
from pipeline.stages.normalize.shapes import record, values
from pipeline.stages.normalize.stacktraces import stacktrace
from pipeline.stages.normalize.values import Parser, json_string, string, text, thread_id, trim

_TYPED_VALUE = re.compile(r"(\w+):(.*)")
_VALUE_LIMIT, _VALUE_ALLOWANCE = 8192, 200


_FIELDS: dict[str, Parser] = {
    "type": string,
    "value": json_string,
    "module": text(256, 20),
    "stacktrace": stacktrace,
    "raw_stacktrace": stacktrace,
    "thread_id": thread_id,
    "mechanism": mechanism,
}
_exception_fields = record(_FIELDS, "exception")


def exception(value: Any, path: EventPath, remarks: Remarks) -> dict[str, Any] | None:
    """Parse one exception. A value such as `TypeError: x` without a type is split into both.

    One that has neither is named in the errors. It stays if it has frames, because these say where it happened; else it is None.
    """
    result: dict[str, Any] | None = _exception_fields(value, path, remarks)
    if result is None:
        return None
    kind, said = result.get("type"), result.get("value")
    if not kind and said:
        match = _TYPED_VALUE.fullmatch(said)
        if match is not None:
            result["type"], result["value"] = match[1], match[2].strip()
            kind, said = result["type"], result["value"]
    if not kind and not said:
        if has_frames(result):
            remarks.error(path, "missing_attribute", attribute="type or value")
            return result
        remarks.error(path, "missing_attribute", {name: result.get(name) for name in _FIELDS}, attribute="type or value")
        return None
    if kind is not None:
        result["type"] = trim(kind, (path, "type"), remarks, 256, 20)
    if said is not None:
        result["value"] = trim(said, (path, "value"), remarks, _VALUE_LIMIT, _VALUE_ALLOWANCE)
    return result


def has_frames(parsed: dict[str, Any]) -> bool:
    """Whether a parsed exception has a stack with at least one frame."""
    return any(((parsed.get(name) or {}).get("frames") or ()) for name in ("stacktrace", "raw_stacktrace"))


exceptions = values(exception)
