"""The event protocol: every field of an event and its parser. See docs/spec/normalization.md."""

from __future__ import annotations

import sys
from typing import Any

from pipeline.model.event_path import EventPath
from pipeline.stages.normalize.clean import are_clean_breadcrumbs
from pipeline.stages.normalize.contexts import contexts
from pipeline.stages.normalize.debug_images import debug_meta
from pipeline.stages.normalize.exceptions import exceptions
from pipeline.stages.normalize.remarks import Remarks, as_json_value
from pipeline.stages.normalize.request import request
from pipeline.stages.normalize.sdk import sdk
from pipeline.stages.normalize.shapes import array, mapping, record, values
from pipeline.stages.normalize.size_limits import free_value, nested_sized_objects, sized_object
from pipeline.stages.normalize.stacktraces import lock, stacktrace
from pipeline.stages.normalize.timestamps import timestamp
from pipeline.stages.normalize.user import user
from pipeline.stages.normalize.values import (
    Parser,
    as_text,
    boolean,
    level,
    primitive,
    string,
    text,
    thread_id,
    unsigned,
    uuid_id,
)  # fmt: skip


def _breadcrumb(value: Any, path: EventPath, remarks: Remarks) -> dict[str, Any] | None:
    result: dict[str, Any] | None = _breadcrumb_fields(value, path, remarks)
    if result is None:
        return None
    return _complete_breadcrumb(result, path, remarks)


def _complete_breadcrumb(crumb: dict[str, Any], path: EventPath, remarks: Remarks) -> dict[str, Any] | None:
    """Set the defaults of a parsed breadcrumb. None for one from before 1970, whose place nobody would know."""
    if crumb.get("timestamp", 0) < 0:
        remarks.invalid(path, "timestamp is before 1970")
        return None
    if not crumb.get("type"):
        crumb["type"] = "default"
    crumb.setdefault("level", "info")
    return crumb


_PARSED_OF_CLEAN: dict[str, Parser] = {"timestamp": timestamp, "data": sized_object(2048, 5)}
"""The fields of a clean breadcrumb that are not clean themselves."""
_breadcrumb_fields = record(
    {
        "timestamp": timestamp,
        "type": text(128),
        "category": text(128),
        "level": level,
        "message": text(8192, 200),
        "data": _PARSED_OF_CLEAN["data"],
        "event_id": uuid_id("expected event id"),
        "origin": string,
    },
    "breadcrumb",
    name_others=True,
)
_breadcrumb_values = values(_breadcrumb)


def _breadcrumbs(value: Any, path: EventPath, remarks: Remarks) -> dict[str, Any] | None:
    """Parse breadcrumbs. Clean ones are completed in place."""
    crumbs = value.get("values") if type(value) is dict else value
    if not crumbs or not are_clean_breadcrumbs(crumbs):
        found: dict[str, Any] | None = _breadcrumb_values(value, path, remarks)
        return found
    inner = (path, "values")
    for index, crumb in enumerate(crumbs):
        for name in [name for name in crumb if name in _PARSED_OF_CLEAN]:  # remarks are in the order of the fields
            parsed = _PARSED_OF_CLEAN[name](crumb[name], ((inner, index), name), remarks)
            if parsed is None:
                del crumb[name]
            else:
                crumb[name] = parsed
        crumbs[index] = _complete_breadcrumb(crumb, (inner, index), remarks)
    return {"values": crumbs}


_thread = record(
    {
        "id": thread_id,
        "name": text(1024, 100),
        "stacktrace": stacktrace,
        "raw_stacktrace": stacktrace,
        "crashed": boolean,
        "current": boolean,
        "main": boolean,
        "state": string,
        "held_locks": mapping(lock),
    },
    "thread",
)  # fmt: skip


def _fingerprint(value: Any, path: EventPath, remarks: Remarks) -> list[str] | None:
    if type(value) is not list:
        if value is not None:
            remarks.invalid(path, "expected an array", value)
        return None
    result, refused = [], []
    for entry in value:
        part = as_text(entry) if not (type(entry) is float and abs(entry) >= 2**53) else None
        if part is not None:
            result.append(part)
        elif entry is not None:
            refused.append(entry)
    if refused:
        remarks.error(path, "invalid_data", value=[as_json_value(entry) for entry in refused[:10]])
        remarks.shortened(path, len(value))
    return result or None


def _time_spent(value: Any, path: EventPath, remarks: Remarks) -> int | None:
    """Parse a duration in milliseconds. One that does not fit 31 bits is refused."""
    result: int | None = unsigned(value, path, remarks)
    return result if result is not None and result < 2**31 - 1 else None


def _error(value: Any, path: EventPath, remarks: Remarks) -> dict[str, Any] | None:
    result = _error_fields(value, path, remarks)
    return result if result and type(result.get("type")) is str else None


_error_fields = record(
    {"type": string, "name": string, "value": free_value(500, 5), "reason": string, "sdk_time": string, "server_time": string},
    "eventprocessingerror",
)

_module_versions = mapping(string)


def _modules(value: Any, path: EventPath, remarks: Remarks) -> dict[str, Any] | None:
    """Parse the versions of modules by name."""
    result = _module_versions(value, path, remarks)
    return result and {name: version for name, version in result.items() if version is not None}


_transaction_info = record(
    {"source": string, "original": string, "changes": free_value(8192, 7), "propagations": unsigned}, "transactioninfo"
)
_CSP_TEXTS = (
    "effective_directive",
    "blocked_uri",
    "document_uri",
    "source_file",
    "original_policy",
    "referrer",
    "violated_directive",
)

FIELDS: dict[str, Parser] = {
    "level": level,
    "fingerprint": _fingerprint,
    "culprit": text(200),
    "transaction": text(200, strip=True),
    "transaction_info": _transaction_info,
    "time_spent": _time_spent,
    "logger": text(sys.maxsize, deny="\r\n"),  # cut later, by the platform
    "modules": _modules,
    "platform": string,
    "release": primitive(),
    "dist": string,
    "environment": string,
    "user": user,
    "request": request,
    "contexts": contexts,
    "breadcrumbs": _breadcrumbs,
    "exception": exceptions,
    "stacktrace": stacktrace,
    "threads": values(_thread),
    "template": record(
        {
            "filename": text(128, 20), "abs_path": text(256, 40), "lineno": unsigned, "colno": unsigned, "context_line": string,
            "pre_context": array(string), "post_context": array(string),
        },
        "templateinfo",
    ),
    "extra": nested_sized_objects(262_144, 16_384, 7),
    "debug_meta": debug_meta,
    "sdk": sdk,
    "ingest_path": array(record({"version": string, "public_key": string}, "relayinfo")),
    "errors": array(_error, keep_nulls=False),
    "checksum": text(128),
    "csp": record(dict.fromkeys(_CSP_TEXTS, string), "csp", keep=free_value(2048, 5)),
    "hpkp": sized_object(16_384, 7),
    "expectct": sized_object(16_384, 7),
    "expectstaple": sized_object(16_384, 7),
    "start_timestamp": timestamp,
}  # fmt: skip

ALIASES = {
    "sentry.interfaces.Breadcrumbs": "breadcrumbs",
    "sentry.interfaces.Contexts": "contexts",
    "sentry.interfaces.Csp": "csp",
    "sentry.interfaces.DebugMeta": "debug_meta",
    "sentry.interfaces.Exception": "exception",
    "sentry.interfaces.Http": "request",
    "sentry.interfaces.Stacktrace": "stacktrace",
    "sentry.interfaces.Message": "logentry",
    "sentry.interfaces.Template": "template",
    "sentry.interfaces.Threads": "threads",
    "sentry.interfaces.User": "user",
}
