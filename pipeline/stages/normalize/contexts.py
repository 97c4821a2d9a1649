"""Contexts: device, system, runtime, trace and other surroundings of an error. Each is an object with its type."""

from __future__ import annotations

from typing import Any

from pipeline.model.event_path import EventPath
from pipeline.stages.normalize.raw_descriptions import name_runtime, name_system
from pipeline.stages.normalize.remarks import Remarks
from pipeline.stages.normalize.request import cookies, headers
from pipeline.stages.normalize.shapes import array, record
from pipeline.stages.normalize.size_limits import sized_object
from pipeline.stages.normalize.values import (
    Parser,
    boolean,
    number,
    primitive,
    span_id,
    string,
    text,
    trace_id,
    unsigned,
    uuid_id,
)

_sized = sized_object(8192, 7)


def _typed(parser: Parser, names: str) -> dict[str, Parser]:
    return dict.fromkeys(names.split(), parser)


_FIELDS: dict[str, dict[str, Parser]] = {
    "device": {
        **_typed(string, "name family model model_id arch orientation manufacturer brand screen_resolution boot_time timezone"),
        **_typed(string, "cpu_description device_type battery_status device_unique_identifier"),
        **_typed(number, "battery_level screen_density"),
        **_typed(unsigned, "memory_size free_memory usable_memory storage_size free_storage external_storage_size"),
        **_typed(unsigned, "external_free_storage processor_count processor_frequency screen_dpi"),
        **_typed(boolean, "online charging low_memory simulator supports_vibration supports_accelerometer"),
        **_typed(boolean, "supports_gyroscope supports_audio supports_location_service"),
        "uuid": uuid_id("invalid uuid"),
    },
    "os": {
        **_typed(string, "name version kernel_version raw_description distribution_name distribution_version"),
        **_typed(string, "distribution_pretty_name"),
        "build": primitive(),
        "rooted": boolean,
    },
    "app": {
        **_typed(string, "app_start_time device_app_hash build_type app_identifier app_name app_version"),
        "app_build": primitive(),
        "app_memory": unsigned,
        "in_foreground": boolean,
        "view_names": array(string),
    },
    "runtime": {**_typed(string, "name version raw_description"), "build": primitive()},
    "browser": _typed(string, "name version"),
    "gpu": {
        **_typed(string, "name version vendor_id vendor_name api_type npot_support graphics_shader_level"),
        **_typed(unsigned, "memory_size max_texture_size"),
        **_typed(boolean, "multi_threaded_rendering supports_draw_call_instancing supports_ray_tracing"),
        **_typed(boolean, "supports_compute_shaders supports_geometry_shaders"),
    },
    "culture": {**_typed(string, "calendar display_name locale timezone"), "is_24_hour_format": boolean},
    "response": {"headers": headers, "cookies": cookies, "status_code": unsigned, "body_size": unsigned},
}
"""The typed fields of known contexts. All other fields are kept as they were sent."""


def _ignored(_value: Any, _path: EventPath, _report: Remarks) -> None:
    """Drop a field that senders must not set."""


_CODES = (
    "ok", "cancelled", "unknown", "invalid_argument", "deadline_exceeded", "not_found", "already_exists", "permission_denied",
    "resource_exhausted", "failed_precondition", "aborted", "out_of_range", "unimplemented", "internal_error", "unavailable",
    "data_loss", "unauthenticated",
)  # fmt: skip
"""Names of a span's status, by gRPC code."""
_STATUSES = {name: name for name in _CODES} | {"failure": "internal_error"}


def _status(value: Any, path: EventPath, remarks: Remarks) -> str | None:
    """Parse a span's status, given by name or gRPC code."""
    if type(value) is str and value in _STATUSES:
        return _STATUSES[value]
    if type(value) is int and 0 <= value < len(_CODES):
        return _CODES[value]
    if value is not None:
        remarks.invalid(path, "expected a trace status", value)
    return None


_trace = record(
    {
        "trace_id": trace_id,
        "span_id": span_id,
        "parent_span_id": span_id,
        "op": text(128),
        "status": _status,
        "sampled": boolean,
        "client_sample_rate": _ignored,
        "origin": text(128),
        "exclusive_time": number,
        "data": sized_object(8192, 7),
    },
    "an object",
    keep=lambda value, _path, _report: value,
)
_replay_id = uuid_id("not a valid replay id")


def contexts(value: Any, path: EventPath, remarks: Remarks) -> dict[str, Any]:
    """Parse the contexts. One that is not an object is dropped."""
    result: dict[str, Any] = {}
    if type(value) is not dict:
        if value is not None:
            remarks.invalid(path, "expected an object", value)
        return result
    for name, raw in value.items():
        if raw is None:
            continue
        parsed = _context(name, raw, (path, name), remarks)
        if parsed is not None:
            result[name] = parsed
    return result


def _context(name: str, raw: Any, path: EventPath, remarks: Remarks) -> dict[str, Any] | None:
    if type(raw) is not dict:
        remarks.invalid(path, "expected an object", raw)
        return None
    declared = raw.get("type")
    kind = declared if type(declared) is str and name not in {"trace", "replay", "flags"} else name
    if kind == "trace":
        parsed = _trace({key: child for key, child in raw.items() if key != "type"}, path, remarks) or {}
        for required in ("trace_id", "span_id"):
            if raw.get(required) is None:
                remarks.error((path, required), "missing_attribute")
        parsed["type"] = "trace"
        bounded: dict[str, Any] | None = _sized(parsed, path, remarks)
        return bounded
    result = {field: value for field, value in raw.items() if field != "type"}
    fields = _FIELDS.get(kind)
    if fields is not None:
        for field, value in raw.items():
            parser = fields.get(field)
            if parser is not None and not (parser is string and type(value) is str):
                result[field] = parser(value, (path, field), remarks)
    if name == "replay" and "replay_id" in result:
        result["replay_id"] = _replay_id(result["replay_id"], (path, "replay_id"), remarks)
    if name == "flags" and "values" in result:
        result["values"] = _flags(result["values"], (path, "values"), remarks)
    _describe(kind, result)
    parsed = _sized(result, path, remarks) or {}
    parsed["type"] = kind
    return parsed


def _flags(raw: Any, path: EventPath, remarks: Remarks) -> list[Any] | None:
    """Parse the list of feature flags. An item that is not an object becomes null."""
    if type(raw) is not list:
        if raw is not None:
            remarks.invalid(path, "expected an array", raw)
        return None
    for index, flag in enumerate(raw):
        if type(flag) not in (dict, type(None)):
            remarks.invalid((path, index), "expected an object", flag)
    return [flag if type(flag) is dict else None for flag in raw]


def _describe(kind: str, context: dict[str, Any]) -> None:
    """Name what only a raw description names, and add the text to search for, such as `browser.browser: "Chrome 120.0.0"`."""
    if kind not in {"browser", "runtime", "os"}:
        return
    if kind == "os":
        name_system(context)
    elif kind == "runtime":
        name_runtime(context)
    name, version = context.get("name"), context.get("version")
    if context.get(kind) or type(name) is not str or not name:
        return
    if type(version) is str and version:
        context[kind] = f"{name} {version}"
    elif kind != "runtime":
        context[kind] = name


def ensure_trace(event: dict[str, Any]) -> None:
    """Add a trace context if the sender sent none. The event's id is its trace id then."""
    found = event["contexts"].setdefault("trace", {})
    if not found.get("trace_id"):
        found["trace_id"] = event["event_id"]
    if not found.get("span_id"):
        found["span_id"] = found["trace_id"][:16]
    found.setdefault("status", "unknown")
    found["type"] = "trace"
