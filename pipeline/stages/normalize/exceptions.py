"""Exceptions: type, value, mechanism and stack, in whatever form they were sent."""

from __future__ import annotations

import re
from typing import Any

from pipeline.model.event_path import EventPath
from pipeline.stages.normalize.remarks import Remarks
from pipeline.stages.normalize.shapes import record, values
from pipeline.stages.normalize.size_limits import free_value, sized_object
from pipeline.stages.normalize.stacktraces import stacktrace
from pipeline.stages.normalize.values import Parser, boolean, json_string, signed, string, text, thread_id, trim, unsigned

_TYPED_VALUE = re.compile(r"(\w+):(.*)")
_VALUE_LIMIT, _VALUE_ALLOWANCE = 8192, 200


def _help_link(value: Any, path: EventPath, remarks: Remarks) -> str | None:
    link = string(value, path, remarks)
    if link is None or link.startswith(("http://", "https://")):
        return link and trim(link, path, remarks, 256, 40)
    remarks.invalid(path, "expected http URL", link)
    return None


_cerror = record({"number": signed, "name": string}, "cerror")
_mach = record({"exception": signed, "code": unsigned, "subcode": unsigned, "name": string}, "machexception")
_posix = record({"number": signed, "code": signed, "name": string, "code_name": string}, "posixsignal")
_mechanism_meta = record(
    {
        "errno": _cerror,
        "signal": _posix,
        "mach_exception": _mach,
        "ns_error": record({"code": signed, "domain": string}, "nserror"),
    },
    "mechanismmeta",
    keep=free_value(2048, 5),
)
_mechanism_fields = record(
    {
        "type": text(128),
        "synthetic": boolean,
        "description": text(8192, 200),
        "help_link": _help_link,
        "handled": boolean,
        "source": string,
        "is_exception_group": boolean,
        "exception_id": unsigned,
        "parent_id": unsigned,
        "data": sized_object(2048, 5),
        "meta": _mechanism_meta,
    },
    "mechanism",
)


def mechanism(value: Any, path: EventPath, remarks: Remarks) -> dict[str, Any] | None:
    """Parse `mechanism`. An empty object counts as absent."""
    return _mechanism_fields(value, path, remarks) or None


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
    """Parse one exception. A value such as `TypeError: x` without a type is split into both. None if it has neither."""
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
        remarks.error(path, "missing_attribute", {name: result.get(name) for name in _FIELDS}, attribute="type or value")
        return None
    if kind is not None:
        result["type"] = trim(kind, (path, "type"), remarks, 256, 20)
    if said is not None:
        result["value"] = trim(said, (path, "value"), remarks, _VALUE_LIMIT, _VALUE_ALLOWANCE)
    return result


exceptions = values(exception)
