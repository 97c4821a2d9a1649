"""OpenTelemetry over HTTP (OTLP): the exceptions in a request of traces or of logs. Pure functions.

Both encodings, protobuf and JSON, are read into the same types. Fields that events do not use are skipped. `events.py` makes
events of the exceptions. See docs/gateway.md, "OpenTelemetry".
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from pipeline.http.answers import RefusedRequestError

if TYPE_CHECKING:
    from google.protobuf.message import Message as ProtobufMessage

MAX_OTLP_BYTES = 4_194_304
"""Limit of a decompressed body. It is gRPC's limit of a message, which batches of exporters keep."""
MAX_EXCEPTIONS = 1_000
"""Limit of exceptions in a request. A larger batch is refused with 413, and its exporter sends smaller ones."""
MAX_DEPTH = 16
"""How deep lists and maps in an attribute are read."""

JSON_TYPE = "application/json"
PROTOBUF_TYPE = "application/x-protobuf"

Attributes = Mapping[str, Any]


class OtlpException(NamedTuple):
    """An exception, with its surroundings in the request.

    `time_ns` is in nanoseconds since the epoch, 0 if unknown. `trace_id` and `span_id` are hex digits, "" if unknown.
    `severity` is the log record's number (1 to 24), 0 for a span's. `name` is the span's; `body` the log record's text.
    """

    resource: Attributes
    scope: str
    attributes: Attributes
    """Attributes of the span event or log record. They hold `exception.type`, `exception.message` and `exception.stacktrace`."""
    span_attributes: Attributes
    time_ns: int
    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    severity: int
    body: str


class OtlpRequest(NamedTuple):
    """The content of a request: its exceptions, and the number of spans or log records without one."""

    exceptions: tuple[OtlpException, ...]
    others: int


class _KeyValue(msgspec.Struct, rename="camel"):
    key: str = ""
    value: Any = None


class _Resource(msgspec.Struct, rename="camel"):
    attributes: list[_KeyValue] = []


class _Scope(msgspec.Struct, rename="camel"):
    name: str = ""


class _SpanEvent(msgspec.Struct, rename="camel"):
    time_unix_nano: int | str = 0
    name: str = ""
    attributes: list[_KeyValue] = []


class _Span(msgspec.Struct, rename="camel"):
    trace_id: str = ""
    span_id: str = ""
    parent_span_id: str = ""
    name: str = ""
    attributes: list[_KeyValue] = []
    events: list[_SpanEvent] = []


class _LogRecord(msgspec.Struct, rename="camel"):
    time_unix_nano: int | str = 0
    observed_time_unix_nano: int | str = 0
    severity_number: int | str = 0
    body: Any = None
    attributes: list[_KeyValue] = []
    trace_id: str = ""
    span_id: str = ""


class _ScopeSpans(msgspec.Struct, rename="camel"):
    scope: _Scope | None = None
    spans: list[_Span] = []


class _ResourceSpans(msgspec.Struct, rename="camel"):
    resource: _Resource | None = None
    scope_spans: list[_ScopeSpans] = []


class _Traces(msgspec.Struct, rename="camel"):
    resource_spans: list[_ResourceSpans] = []


class _ScopeLogs(msgspec.Struct, rename="camel"):
    scope: _Scope | None = None
    log_records: list[_LogRecord] = []


class _ResourceLogs(msgspec.Struct, rename="camel"):
    resource: _Resource | None = None
    scope_logs: list[_ScopeLogs] = []


class _Logs(msgspec.Struct, rename="camel"):
    resource_logs: list[_ResourceLogs] = []


_TRACES, _LOGS = msgspec.json.Decoder(_Traces), msgspec.json.Decoder(_Logs)


def read_traces(body: bytes, content_type: str) -> OtlpRequest:
    """Return the exceptions among the events of a request's spans, protobuf or JSON. Raises RefusedRequestError: 400, 413."""
    if content_type == PROTOBUF_TYPE:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (  # noqa: PLC0415 -- slow, and seldom needed
            ExportTraceServiceRequest,
        )

        return _read(_in_spans(_parsed(ExportTraceServiceRequest(), body)))
    return _read(_in_spans(_decoded(_TRACES, body)))


def read_logs(body: bytes, content_type: str) -> OtlpRequest:
    """Return the exceptions among a request's log records, protobuf or JSON. Raises RefusedRequestError: 400, 413."""
    if content_type == PROTOBUF_TYPE:
        from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (  # noqa: PLC0415 -- slow, and seldom needed
            ExportLogsServiceRequest,
        )

        return _read(_in_logs(_parsed(ExportLogsServiceRequest(), body)))
    return _read(_in_logs(_decoded(_LOGS, body)))


def _parsed(message: ProtobufMessage, body: bytes) -> Any:
    from google.protobuf.message import DecodeError  # noqa: PLC0415 -- slow, and seldom needed

    try:
        message.ParseFromString(body)
    except DecodeError as error:
        raise _invalid(str(error)) from None
    return message


def _decoded(decoder: msgspec.json.Decoder[Any], body: bytes) -> Any:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _invalid(str(error)) from None


def _invalid(cause: str) -> RefusedRequestError:
    return RefusedRequestError(400, "invalid OTLP request", cause[:200], reason="invalid_otlp")


def _read(found: Iterator[OtlpException | None]) -> OtlpRequest:
    """Collect the exceptions. None stands for a span or log record without one."""
    exceptions: list[OtlpException] = []
    others = 0
    for one in found:
        if one is None:
            others += 1
        elif len(exceptions) == MAX_EXCEPTIONS:
            raise RefusedRequestError(413, "too many exceptions in an OTLP request", reason="too_large:otlp")
        else:
            exceptions.append(one)
    return OtlpRequest(tuple(exceptions), others)


# The messages of protobuf and the types above have attributes of the same names, so that one walk serves both encodings.


def _in_spans(request: Any) -> Iterator[OtlpException | None]:
    for of_resource in request.resource_spans:
        resource = _attributes(of_resource.resource.attributes) if of_resource.resource else {}
        for of_scope in of_resource.scope_spans:
            scope = of_scope.scope.name if of_scope.scope else ""
            for span in of_scope.spans:
                thrown = [event for event in span.events if event.name == "exception"]
                if not thrown:
                    yield None
                    continue
                own = _attributes(span.attributes)
                ids = (_hex(span.trace_id), _hex(span.span_id), _hex(span.parent_span_id))
                for event in thrown:
                    attributes, time_ns = _attributes(event.attributes), _integer(event.time_unix_nano)
                    yield OtlpException(resource, scope, attributes, own, time_ns, *ids, span.name, 0, "")


def _in_logs(request: Any) -> Iterator[OtlpException | None]:
    for of_resource in request.resource_logs:
        resource = _attributes(of_resource.resource.attributes) if of_resource.resource else {}
        for of_scope in of_resource.scope_logs:
            scope = of_scope.scope.name if of_scope.scope else ""
            for record in of_scope.log_records:
                attributes = _attributes(record.attributes)
                if not attributes.keys() & {"exception.type", "exception.message", "exception.stacktrace"}:
                    yield None
                    continue
                time_ns = _integer(record.time_unix_nano) or _integer(record.observed_time_unix_nano)
                body = _value(record.body)
                yield OtlpException(
                    resource,
                    scope,
                    attributes,
                    {},
                    time_ns,
                    _hex(record.trace_id),
                    _hex(record.span_id),
                    "",
                    "",
                    _integer(record.severity_number),
                    body if isinstance(body, str) else "",
                )


def _attributes(pairs: Iterable[Any]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any, depth: int = 0) -> Any:
    """Return the plain value of an `AnyValue`. None for values that are deeper than MAX_DEPTH, and for an empty one."""
    if value is None or depth > MAX_DEPTH:
        return None
    if isinstance(value, dict):
        return _json_value(value, depth)
    kind = value.WhichOneof("value") if hasattr(value, "WhichOneof") else None
    if kind == "array_value":
        return [_value(one, depth + 1) for one in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: _value(pair.value, depth + 1) for pair in value.kvlist_value.values}
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return getattr(value, kind) if kind else None


def _json_value(value: dict[str, Any], depth: int) -> Any:
    for kind, found in value.items():
        match kind:
            case "stringValue" | "boolValue" | "doubleValue" | "bytesValue":
                return found if isinstance(found, str | bool | int | float) else None
            case "intValue":
                return _integer(found) if isinstance(found, int | str) else 0
            case "arrayValue":
                return [_value(one, depth + 1) for one in _list_in(found)]
            case "kvlistValue":
                pairs = (pair for pair in _list_in(found) if isinstance(pair, dict) and isinstance(pair.get("key"), str))
                return {pair["key"]: _value(pair.get("value"), depth + 1) for pair in pairs}
    return None


def _list_in(found: Any) -> Sequence[Any]:
    values = found.get("values") if isinstance(found, dict) else None
    return values if isinstance(values, list) else ()


def _integer(value: int | str) -> int:
    """Return a 64-bit number, which JSON may hold as text. 0 for any other value."""
    if isinstance(value, str):
        value = int(value) if len(value) <= len(str(-(2**63))) and value.isascii() and value.removeprefix("-").isdecimal() else 0
    return value if -(2**63) <= value < 2**64 else 0


def _hex(value: bytes | str) -> str:
    return value.hex() if isinstance(value, bytes) else value.lower()
