from __future__ import annotations

from typing import Any

import orjson
import pytest

from pipeline.gateway.network_reports import event_of, read_network_reports
from pipeline.http.answers import RefusedRequestError

REPORT: dict[str, Any] = {
    "age": 20_000,
    "type": "network-error",
    "url": "https://shop.example/cart",
    "user_agent": "Browser/1",
    "body": {
        "elapsed_time": 18,
        "method": "POST",
        "phase": "connection",
        "protocol": "http/1.1",
        "referrer": "https://shop.example/",
        "sampling_fraction": 0.5,
        "server_ip": "203.0.113.9",
        "status_code": 0,
        "type": "tcp.refused",
        "url": "https://api.example/pay",
    },
}


def test_a_report_becomes_an_event() -> None:
    [report] = read_network_reports(orjson.dumps([REPORT]))
    assert event_of(report, 1_700_000_020.0) == {
        "type": "nel",
        "logger": "nel",
        "level": "error",
        "timestamp": 1_700_000_000.0,
        "logentry": {"formatted": "The server refused the TCP connection"},
        "contexts": {
            "nel": {
                "error_type": "tcp.refused",
                "elapsed_time": 18,
                "phase": "connection",
                "protocol": "http/1.1",
                "sampling_fraction": 0.5,
                "server_ip": "203.0.113.9",
            }
        },
        "tags": [["nel.type", "tcp.refused"], ["hostname", "api.example"]],
        "request": {
            "url": "https://api.example/pay",
            "method": "POST",
            "headers": [["Referer", "https://shop.example/"], ["User-Agent", "Browser/1"]],
        },
    }


def test_an_answer_with_an_error_has_its_status() -> None:
    body = REPORT["body"] | {"type": "http.error", "status_code": 502}
    [report] = read_network_reports(orjson.dumps(REPORT | {"body": body}))
    assert event_of(report, 0.0)["contexts"]["response"] == {"type": "response", "status_code": 502}


def test_reports_of_other_types_are_left_out_and_unknown_errors_named_as_they_are() -> None:
    other = {"type": "deprecation", "body": {}}
    unknown = {"type": "network-error", "url": "http://[", "body": {"type": "quic.lost"}}
    [report] = read_network_reports(orjson.dumps([other, unknown]))
    event = event_of(report, 5.0)
    assert event["logentry"] == {"formatted": "quic.lost"}
    assert event["tags"] == [["nel.type", "quic.lost"]]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"1", b'[{"type":"deprecation","body":{}}]', b"[{}]", b"[" * 100_000])
def test_what_is_no_report(body: bytes) -> None:
    with pytest.raises(RefusedRequestError) as refused:
        read_network_reports(body)
    assert (refused.value.status, refused.value.reason) == (400, "nel")


def test_no_more_than_a_hundred() -> None:
    assert len(read_network_reports(orjson.dumps([REPORT] * 100))) == 100
    with pytest.raises(RefusedRequestError):
        read_network_reports(orjson.dumps([REPORT] * 101))


@pytest.mark.parametrize("field", ["url", "user_agent", "age"])
@pytest.mark.parametrize("value", [None, 7, "x", [], {}, True, -1e300])
def test_a_field_of_another_type_costs_itself_alone(field: str, value: object) -> None:
    [report] = read_network_reports(orjson.dumps(REPORT | {field: value}))
    assert event_of(report, 100_000.0)["logentry"]["formatted"] == "The server refused the TCP connection"
