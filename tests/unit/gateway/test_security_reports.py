from __future__ import annotations

from typing import Any

import orjson
import pytest

from pipeline.gateway.security_reports import ReportOrigin, events_of, read_reports

OLD = {
    "csp-report": {
        "document-uri": "https://shop.example/cart",
        "referrer": "https://search.example/",
        "violated-directive": "img-src 'self'",
        "effective-directive": "img-src",
        "original-policy": "default-src 'self'",
        "blocked-uri": "https://evil.example/pixel.gif",
        "status-code": 200,
    }
}
NEW = {
    "type": "csp-violation",
    "age": 10,
    "url": "https://shop.example/cart",
    "user_agent": "Browser/2",
    "body": {
        "blockedURL": "inline",
        "effectiveDirective": "script-src-elem",
        "documentURL": "https://shop.example/cart",
        "lineNumber": 7,
    },
}


def events(sent: Any, origin: ReportOrigin = ReportOrigin("Browser/1")) -> list[dict[str, Any]]:  # noqa: B008 -- a constant
    return list(events_of(read_reports(orjson.dumps(sent)), origin))


def test_the_old_form_becomes_an_event() -> None:
    [event] = events(OLD, ReportOrigin("Browser/1", "shop@1", "prod"))
    assert event == {
        "csp": {name.replace("-", "_"): value for name, value in OLD["csp-report"].items()},
        "logger": "csp",
        "logentry": {"formatted": "Blocked 'image' from 'evil.example'"},
        "culprit": "img-src 'self'",
        "tags": [["effective-directive", "img-src"], ["blocked-uri", "https://evil.example/pixel.gif"]],
        "request": {
            "url": "https://shop.example/cart",
            "headers": [["Referer", "https://search.example/"], ["User-Agent", "Browser/1"]],
        },
        "release": "shop@1",
        "environment": "prod",
    }


def test_the_reporting_api_sends_lists() -> None:
    first, second = events([NEW, NEW | {"user_agent": None}])
    assert first["csp"]["blocked_uri"] == "inline"
    assert first["csp"]["line_number"] == 7
    assert first["logentry"]["formatted"] == "Blocked unsafe 'script' element"
    assert first["request"]["headers"] == [["User-Agent", "Browser/2"]]
    assert second["request"]["headers"] == [["User-Agent", "Browser/1"]]


@pytest.mark.parametrize(
    ("report", "message"),
    [
        ({"effective-directive": "img-src"}, "Blocked inline 'image'"),
        (
            {"violated-directive": "style-src cdn.example", "blocked-uri": "https://x.example/a.css"},
            "Blocked 'style' from 'x.example'",
        ),
        ({"effective-directive": "new-src", "blocked-uri": "https://x.example"}, "Blocked 'new-src' from 'x.example'"),
        (
            {"effective-directive": "script-src", "blocked-uri": "https://a.example/x.js", "document-uri": "https://a.example/"},
            "Blocked unsafe (eval() or inline) 'script'",
        ),
        ({"effective-directive": "font-src", "blocked-uri": "data"}, "Blocked 'font' from 'data:'"),
        ({"effective-directive": 5, "blocked-uri": ["x"]}, "Blocked inline ''"),
    ],
)
def test_what_an_event_says(report: dict[str, Any], message: str) -> None:
    [event] = events({"csp-report": report})
    assert event["logentry"]["formatted"] == message


@pytest.mark.parametrize(
    ("report", "field", "message"),
    [
        ({"expect-ct-report": {"hostname": "a.example"}}, "expectct", "Expect-CT failed for 'a.example'"),
        ({"expect-staple-report": {"hostname": "a.example"}}, "expectstaple", "Expect-Staple failed for 'a.example'"),
        ({"hostname": "a.example", "known-pins": []}, "hpkp", "Public key pinning validation failed for 'a.example'"),
    ],
)
def test_reports_about_certificates(report: dict[str, Any], field: str, message: str) -> None:
    [event] = events(report)
    assert event[field]["hostname"] == "a.example"
    assert event["logentry"]["formatted"] == message
    assert event["culprit"] == "a.example"
