"""Contexts: what surrounded the error (device, system, runtime, trace, ...). Always objects, each with its type."""

from __future__ import annotations

from typing import Any

from pipeline.stages.normalize.bags import bag
from pipeline.stages.normalize.report import Path, Report
from pipeline.stages.normalize.shapes import record
from pipeline.stages.normalize.values import boolean, number, span_id, string, text, trace_id, unsigned, uuid_id

_bag = bag(8192, 7)

_DEVICE_NUMBERS = (
    "memory_size", "free_memory", "usable_memory", "storage_size", "free_storage", "external_storage_size", "external_free_storage",
    "processor_count", "screen_height_pixels", "screen_width_pixels",
)  # fmt: skip

_FIELDS = {
    "device": dict.fromkeys(_DEVICE_NUMBERS, unsigned) | {"charging": boolean, "online": boolean, "simulator": boolean},
    "os": {"rooted": boolean},
    "app": {"in_foreground": boolean},
}

_trace = record(
    {
        "trace_id": trace_id,
        "span_id": span_id,
        "parent_span_id": span_id,
        "op": text(128),
        "status": string,
        "sampled": boolean,
        "client_sample_rate": number,
        "origin": text(128),
        "exclusive_time": number,
        "data": bag(8192, 7),
    },
    "an object",
    keep=lambda value, _path, _report: value,
)
_replay_id = uuid_id("not a valid replay id")


def contexts(value: Any, path: Path, report: Report) -> dict[str, Any]:
    """Take the contexts by name; one that is no object goes."""
    result: dict[str, Any] = {}
    if type(value) is not dict:
        if value is not None:
            report.invalid(path, "expected an object", value)
        return result
    for name, raw in value.items():
        if raw is None:
            continue
        parsed = _context(name, raw, (path, name), report)
        if parsed is not None:
            result[name] = parsed
    return result


def _context(name: str, raw: Any, path: Path, report: Report) -> dict[str, Any] | None:
    if type(raw) is not dict:
        report.invalid(path, "expected an object", raw)
        return None
    declared = raw.get("type")
    kind = declared if type(declared) is str and name not in {"trace", "replay", "flags"} else name
    if kind == "trace":
        parsed = _trace({key: child for key, child in raw.items() if key != "type"}, path, report) or {}
        parsed["type"] = "trace"
        return _bag(parsed, path, report)
    result = dict(raw)
    for field, parser in _FIELDS.get(kind, {}).items():
        if field in result:
            result[field] = parser(result[field], (path, field), report)
    if name == "replay" and "replay_id" in result:
        result["replay_id"] = _replay_id(result["replay_id"], (path, "replay_id"), report)
    if name == "flags" and type(result.get("values")) not in (list, type(None)):
        report.invalid((path, "values"), "expected an array", result.pop("values"))
    _describe(kind, result)
    parsed = _bag(result, path, report) or {}
    parsed["type"] = kind
    return parsed


def _describe(kind: str, context: dict[str, Any]) -> None:
    """Add the one text that people search for, such as `browser.browser: "Chrome 120.0.0"`."""
    if kind not in {"browser", "runtime", "os"}:
        return
    name, version = context.get("name"), context.get("version")
    if type(name) is str and type(version) is str and name and version:
        context[kind] = f"{name} {version}"
    elif type(name) is str and name and kind != "os":
        context[kind] = name


def ensure_trace(event: dict[str, Any]) -> None:
    """Give the event a trace context: its own id stands in where the sender named none."""
    found = event["contexts"].setdefault("trace", {})
    if not found.get("trace_id"):
        found["trace_id"] = event["event_id"]
    if not found.get("span_id"):
        found["span_id"] = found["trace_id"][:16]
    found.setdefault("status", "unknown")
    found["type"] = "trace"
