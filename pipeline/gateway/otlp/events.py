"""Makes an error event of an OpenTelemetry exception, as an SDK would send it. Pure functions.

See docs/gateway.md, "OpenTelemetry", for the table of attributes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import xxhash

from pipeline.gateway.otlp.requests import OtlpException
from pipeline.gateway.otlp.stack_texts import ReadException, read_stack

_PLATFORMS = {
    "cpp": "native",
    "dotnet": "csharp",
    "erlang": "elixir",
    "go": "go",
    "java": "java",
    "nodejs": "node",
    "php": "php",
    "python": "python",
    "ruby": "ruby",
    "rust": "rust",
    "swift": "cocoa",
    "webjs": "javascript",
}
"""The platform of an event, by `telemetry.sdk.language`."""
_MODULE_IN_TYPE = {"java": ".", "python": ".", "csharp": ".", "php": "\\"}
"""Platforms whose exporters name an exception with its module, and the separator of the two."""
_LEVELS = ((21, "fatal"), (17, "error"), (13, "warning"), (9, "info"))
"""The lowest severity number of each level. Lower numbers are `debug`, and 0 is unknown."""
_TOLD = frozenset({"exception.type", "exception.message", "exception.stacktrace", "exception.escaped"})


def event_of(found: OtlpException, received: float) -> dict[str, Any]:
    """Return the event that an exception becomes. `received` (epoch seconds) is used if the exception has no time."""
    resource, attributes = found.resource, {**found.span_attributes, **found.attributes}
    platform = _PLATFORMS.get(_text(resource, "telemetry.sdk.language"), "other")
    event: dict[str, Any] = {
        "platform": platform,
        "level": _level(found.severity),
        "timestamp": found.time_ns / 1e9 if found.time_ns > 0 else received,
        "exception": {"values": _exceptions(found, platform)},
        "logger": found.scope,
        "transaction": found.name or _text(attributes, "http.route"),
        "environment": _text(resource, "deployment.environment.name", "deployment.environment"),
        "release": _release(resource),
        "server_name": _text(resource, "host.name"),
        "request": _request(attributes),
        "user": _user(attributes),
        "tags": [[name, value] for name in ("service.name", "service.namespace") if (value := _text(resource, name))],
        "contexts": _contexts(found),
        "extra": {name: value for name, value in attributes.items() if name not in _TOLD},
        "sdk": {
            "name": f"opentelemetry.{_text(resource, 'telemetry.sdk.language') or 'other'}",
            "version": _text(resource, "telemetry.sdk.version") or "unknown",
        },
    }
    if found.body and found.body != _text(attributes, "exception.message"):
        event["logentry"] = {"formatted": found.body}
    return {name: value for name, value in event.items() if value}


def event_id_of(found: OtlpException, project_id: int) -> str | None:
    """Return an event id that stays the same if the exporter sends the exception again. None without a span or a time."""
    if not (found.trace_id and found.span_id and found.time_ns):
        return None
    told = [found.attributes.get(name) for name in sorted(_TOLD)]
    return xxhash.xxh3_128_hexdigest(repr((project_id, found.trace_id, found.span_id, found.time_ns, told)).encode())


def _exceptions(found: OtlpException, platform: str) -> list[dict[str, Any]]:
    """Return the chain of exceptions. Type and message of the last one are taken from the attributes, which are exact."""
    stack = _text(found.attributes, "exception.stacktrace")
    chain = read_stack(stack, platform) or [ReadException()]
    last = chain[-1]
    last.type = _text(found.attributes, "exception.type") or last.type
    last.value = _text(found.attributes, "exception.message") or last.value
    values = [_exception(one, platform) for one in chain]
    escaped = found.attributes.get("exception.escaped")
    handled = escaped.lower() != "true" if isinstance(escaped, str) else not escaped
    mechanism: dict[str, Any] = {"type": "opentelemetry"} | ({} if escaped is None else {"handled": handled})
    if stack and not last.frames:
        mechanism["data"] = {"stacktrace": stack}
    values[-1]["mechanism"] = mechanism
    return values


def _exception(one: ReadException, platform: str) -> dict[str, Any]:
    value: dict[str, Any] = {"type": one.type, "value": one.value}
    separator = _MODULE_IN_TYPE.get(platform)
    if one.type and separator and separator in one.type:
        value["module"], _, value["type"] = one.type.rpartition(separator)
    if one.frames:
        value["stacktrace"] = {"frames": one.frames}
    return value


def _level(severity: int) -> str:
    if severity <= 0:
        return "error"
    return next((level for least, level in _LEVELS if severity >= least), "debug")


def _release(resource: Mapping[str, Any]) -> str:
    """Return the release `service@version`. A version that already has this form stays."""
    service, version = _text(resource, "service.name"), _text(resource, "service.version")
    return f"{service}@{version}" if version and service and "@" not in version else version


def _request(attributes: Mapping[str, Any]) -> dict[str, str]:
    request = {
        "url": _text(attributes, "url.full", "http.url"),
        "method": _text(attributes, "http.request.method", "http.method"),
        "query_string": _text(attributes, "url.query"),
    }
    return {name: value for name, value in request.items() if value}


def _user(attributes: Mapping[str, Any]) -> dict[str, str]:
    user = {
        "id": _text(attributes, "user.id", "enduser.id"),
        "email": _text(attributes, "user.email"),
        "username": _text(attributes, "user.name"),
        "ip_address": _text(attributes, "client.address"),
    }
    return {name: value for name, value in user.items() if value}


def _contexts(found: OtlpException) -> dict[str, Any]:
    trace = {"trace_id": found.trace_id, "span_id": found.span_id, "parent_span_id": found.parent_span_id}
    resource = found.resource
    runtime = {
        "name": _text(resource, "process.runtime.name"),
        "version": _text(resource, "process.runtime.version"),
        "raw_description": _text(resource, "process.runtime.description"),
    }
    system = {"name": _text(resource, "os.name", "os.type"), "version": _text(resource, "os.version")}
    contexts = {
        "trace": {"type": "trace"} | {name: value for name, value in trace.items() if value} if found.trace_id else {},
        "runtime": {name: value for name, value in runtime.items() if value},
        "os": {name: value for name, value in system.items() if value},
        "otel": {"resource": dict(resource)} if resource else {},
    }
    return {name: value for name, value in contexts.items() if value}


def _text(attributes: Mapping[str, Any], *names: str) -> str:
    """Return the first of the named attributes that is a text or a number, as text. "" if there is none."""
    for name in names:
        value = attributes.get(name)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return str(value)
    return ""
