"""Exceptions in OpenTelemetry's requests. The requests are those of its own Python SDK, in protobuf and in JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from pipeline.gateway.otlp.events import event_id_of, event_of
from pipeline.gateway.otlp.requests import JSON_TYPE, MAX_EXCEPTIONS, PROTOBUF_TYPE, OtlpException, read_logs, read_traces
from pipeline.http.answers import RefusedRequestError

RESOURCE: dict[str, Any] = {
    "service.name": "shop",
    "service.version": "1.2.0",
    "deployment.environment.name": "prod",
    "host.name": "web-1",
    "odd": [1, True, "x"],
}


def pay() -> None:
    message = "no route"
    raise OSError(message)


def recorded_spans() -> Sequence[ReadableSpan]:
    """Record a span with an exception and one without, by the SDK itself."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource.create(RESOURCE))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("shop.cart")
    with tracer.start_as_current_span("GET /cart", attributes={"url.full": "https://shop.example/cart", "items": 3}):  # noqa: SIM117 -- two spans
        with pytest.raises(OSError, match="no route"), tracer.start_as_current_span("charge"):
            pay()
    provider.shutdown()
    return exporter.get_finished_spans()


@pytest.fixture(scope="module", params=["protobuf", "json"])
def exception(request: pytest.FixtureRequest) -> OtlpException:
    message = encode_spans(recorded_spans())
    if request.param == "protobuf":
        found = read_traces(message.SerializeToString(), PROTOBUF_TYPE)
    else:
        sent = MessageToDict(message)
        for span in (span for one in sent["resourceSpans"] for scope in one["scopeSpans"] for span in scope["spans"]):
            for name in {"traceId", "spanId", "parentSpanId"} & span.keys():  # JSON has these in hex digits
                span[name] = _hex_of(span[name])
        found = read_traces(orjson.dumps(sent), JSON_TYPE)
    assert found.others == 1
    [one] = found.exceptions
    return one


def _hex_of(text: str) -> str:
    import base64

    return base64.b64decode(text).hex()


def test_an_exception_of_a_span_becomes_an_event(exception: OtlpException) -> None:
    event = event_of(exception, 0.0)
    [value] = event["exception"]["values"]
    assert (value["type"], value["value"]) == ("OSError", "no route")
    assert value["stacktrace"]["frames"][-1]["function"] == "pay"
    assert value["mechanism"] == {"type": "opentelemetry", "handled": True}
    assert event["platform"] == "python"
    assert event["level"] == "error"
    assert event["release"] == "shop@1.2.0"
    assert event["environment"] == "prod"
    assert event["server_name"] == "web-1"
    assert event["transaction"] == "charge"
    assert event["logger"] == "shop.cart"
    assert event["tags"] == [["service.name", "shop"]]
    assert event["timestamp"] > 1_700_000_000
    assert event["contexts"]["trace"]["trace_id"] == exception.trace_id
    assert len(exception.trace_id) == 32
    assert event["contexts"]["otel"]["resource"]["odd"] is not None
    assert event["sdk"]["name"] == "opentelemetry.python"
    orjson.dumps(event)


def test_a_second_try_has_the_same_id(exception: OtlpException) -> None:
    first = event_id_of(exception, 1)
    assert first is not None
    assert len(first) == 32
    assert first == event_id_of(exception, 1)
    assert first != event_id_of(exception, 2)
    assert event_id_of(exception._replace(span_id=""), 1) is None


def log_request(*records: dict[str, Any]) -> bytes:
    return orjson.dumps({"resourceLogs": [{"resource": {}, "scopeLogs": [{"scope": {}, "logRecords": list(records)}]}]})


def attribute(name: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"key": name, "value": value}


def test_a_log_record_with_an_exception_becomes_an_event() -> None:
    record = {
        "timeUnixNano": "1700000000500000000",
        "severityNumber": 21,
        "body": {"stringValue": "checkout failed"},
        "attributes": [
            attribute("exception.type", {"stringValue": "shop.errors.PaymentError"}),
            attribute("exception.message", {"stringValue": "declined"}),
            attribute("exception.stacktrace", {"stringValue": "not a stack"}),
            attribute("user.id", {"intValue": "42"}),
            attribute("cart", {"kvlistValue": {"values": [attribute("total", {"doubleValue": 9.5})]}}),
        ],
        "traceId": "5B8EFFF798038103D269B633813FC60C",
        "spanId": "EEE19B7EC3C1B174",
    }
    found = read_logs(log_request(record, {"body": {"stringValue": "hello"}}), JSON_TYPE)
    assert found.others == 1
    event = event_of(found.exceptions[0], 0.0)
    assert event["level"] == "fatal"
    assert event["timestamp"] == 1_700_000_000.5
    assert event["logentry"] == {"formatted": "checkout failed"}
    assert event["user"] == {"id": "42"}
    assert event["extra"] == {"user.id": 42, "cart": {"total": 9.5}}
    [value] = event["exception"]["values"]
    assert value["mechanism"] == {"type": "opentelemetry", "data": {"stacktrace": "not a stack"}}
    assert event["contexts"]["trace"]["trace_id"] == "5b8efff798038103d269b633813fc60c"


@pytest.mark.parametrize(
    ("severity", "level"), [(0, "error"), (1, "debug"), (5, "debug"), (9, "info"), (13, "warning"), (17, "error"), (24, "fatal")]
)
def test_levels(severity: int, level: str) -> None:
    record = {"severityNumber": severity, "attributes": [attribute("exception.message", {"stringValue": "x"})]}
    [found] = read_logs(log_request(record), JSON_TYPE).exceptions
    assert event_of(found, 7.0)["level"] == level
    assert event_of(found, 7.0)["timestamp"] == 7.0


@pytest.mark.parametrize(
    ("language", "name", "expected"),
    [
        ("java", "java.lang.IllegalStateException", ("java.lang", "IllegalStateException")),
        ("nodejs", "TypeError", (None, "TypeError")),
        ("go", "*errors.errorString", (None, "*errors.errorString")),
        ("php", "Shop\\NoRoute", ("Shop", "NoRoute")),
    ],
)
def test_the_module_of_a_type(language: str, name: str, expected: tuple[str | None, str]) -> None:
    record = {"attributes": [attribute("exception.type", {"stringValue": name})]}
    sent = {
        "resourceLogs": [
            {
                "resource": {"attributes": [attribute("telemetry.sdk.language", {"stringValue": language})]},
                "scopeLogs": [{"logRecords": [record]}],
            }
        ]
    }
    [found] = read_logs(orjson.dumps(sent), JSON_TYPE).exceptions
    [value] = event_of(found, 7.0)["exception"]["values"]
    assert (value.get("module"), value["type"]) == expected


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"resourceLogs":7}', b'{"resourceLogs":[{"scopeLogs":[null]}]}', b'{"a":' * 20_000]
)
def test_what_is_no_request(body: bytes) -> None:
    with pytest.raises(RefusedRequestError) as refused:
        read_logs(body, JSON_TYPE)
    assert (refused.value.status, refused.value.reason) == (400, "invalid_otlp")


@pytest.mark.parametrize("body", [b"\x0a", b"\xff" * 50, b"\x0a\x02\x0a\x07", b'{"resourceSpans":[]}'])
def test_what_is_no_protobuf(body: bytes) -> None:
    with pytest.raises(RefusedRequestError) as refused:
        read_traces(body, PROTOBUF_TYPE)
    assert refused.value.status == 400


def test_an_empty_request_is_one() -> None:
    assert read_traces(b"", PROTOBUF_TYPE) == read_logs(b"{}", JSON_TYPE) == ((), 0)


def test_a_batch_of_too_many_exceptions_is_refused() -> None:
    record = {"attributes": [attribute("exception.message", {"stringValue": "x"})]}
    assert len(read_logs(log_request(*[record] * MAX_EXCEPTIONS), JSON_TYPE).exceptions) == MAX_EXCEPTIONS
    with pytest.raises(RefusedRequestError) as refused:
        read_logs(log_request(*[record] * (MAX_EXCEPTIONS + 1)), JSON_TYPE)
    assert refused.value.status == 413


def test_values_of_every_kind_and_nonsense_are_read_or_left_out() -> None:
    deep: dict[str, Any] = {"stringValue": "end"}
    for _ in range(40):
        deep = {"arrayValue": {"values": [deep]}}
    record = {
        "timeUnixNano": "9" * 30,
        "severityNumber": "x",
        "attributes": [
            attribute("exception.message", {"stringValue": "x"}),
            attribute("deep", deep),
            attribute("large", {"intValue": "99999999999999999999"}),
            attribute("text", {"intValue": "1e5"}),
            attribute("wrong", {"stringValue": {}}),
            attribute("none", {}),
            attribute("list", {"arrayValue": 3}),
        ],
    }
    [found] = read_logs(log_request(record), JSON_TYPE).exceptions
    event = event_of(found, 3.0)
    orjson.dumps(event)
    assert event["timestamp"] == 3.0
    assert {name: event["extra"][name] for name in ("large", "text", "wrong", "none", "list")} == {
        "large": 0,
        "text": 0,
        "wrong": None,
        "none": None,
        "list": [],
    }
