"""Reports of browsers about requests that failed (Network Error Logging): each becomes an error event. Pure functions.

The form is the Reporting API's: `[{"type": "network-error", "age": ms, "url": ..., "body": {"type": "tcp.refused", ...}}, ...]`.
See docs/gateway.md, "Browsers' reports".
"""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from pipeline.http.answers import RefusedRequestError

MAX_REPORTS = 100
REPORT_TYPE = "network-error"

_MEANINGS = {
    "dns.unreachable": "The DNS server cannot be reached",
    "dns.name_not_resolved": "The DNS server does not know the host",
    "dns.failed": "The request to the DNS server failed",
    "dns.address_changed": "The address of the host has changed",
    "tcp.timed_out": "The TCP connection timed out",
    "tcp.closed": "The server closed the TCP connection",
    "tcp.reset": "The TCP connection was reset",
    "tcp.refused": "The server refused the TCP connection",
    "tcp.aborted": "The TCP connection was aborted",
    "tcp.address_invalid": "The IP address is not valid",
    "tcp.address_unreachable": "The IP address cannot be reached",
    "tcp.failed": "The TCP connection failed",
    "tls.version_or_cipher_mismatch": "Browser and server have no TLS version or cipher in common",
    "tls.bad_client_auth_cert": "The server did not accept the client's certificate",
    "tls.cert.name_invalid": "The server's certificate is for another host",
    "tls.cert.date_invalid": "The server's certificate has expired or is not valid yet",
    "tls.cert.authority_invalid": "The server's certificate comes from an authority that the browser does not trust",
    "tls.cert.invalid": "The server's certificate is not valid",
    "tls.cert.revoked": "The server's certificate was revoked",
    "tls.cert.pinned_key_not_in_cert_chain": "The server's certificate does not hold the pinned key",
    "tls.protocol.error": "The TLS protocol was violated",
    "tls.failed": "The TLS connection failed",
    "http.error": "The server answered with an HTTP error",
    "http.protocol.error": "The HTTP protocol was violated",
    "http.response.invalid": "The response is empty, has a wrong length, or a wrong encoding",
    "http.response.invalid.content_length_mismatch": "The response is longer or shorter than its Content-Length",
    "http.response.invalid.incomplete_chunked_encoding": "The chunked response ended too early",
    "http.response.invalid.invalid_chunked_encoding": "The chunks of the response are not valid",
    "http.response.invalid.empty": "The response is empty",
    "http.response.headers.multiple_location": "The response has several Location headers",
    "http.response.headers.truncated": "The headers of the response were cut off",
    "http.response.headers.multiple_content_disposition": "The response has several Content-Disposition headers",
    "http.response.headers.multiple_content_length": "The response has several Content-Length headers",
    "http.response.redirect_loop": "The redirects of the response go round in a circle",
    "h2.ping_failed": "The server did not answer an HTTP/2 ping",
    "h2.protocol.error": "The HTTP/2 protocol was violated",
    "h3.protocol.error": "The HTTP/3 protocol was violated",
    "abandoned": "The user left before the request was done",
    "unknown": "The request failed for an unknown reason",
}
"""The meanings of the types that the specification of Network Error Logging names, and of those that Chromium adds."""


class NetworkReport(NamedTuple):
    """A report as sent, with the fields that an event is made of. `age_s` is how long ago the request was, in seconds."""

    url: str
    user_agent: str | None
    age_s: float
    body: dict[str, Any]


def read_network_reports(body: bytes) -> list[NetworkReport]:
    """Return the reports in a body. Reports of other types are skipped, because browsers mix types in one list.

    Raises RefusedRequestError (400) for a body without a report of a network error, or with more than MAX_REPORTS.
    """
    try:
        sent = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RefusedRequestError(400, "invalid network report", "not JSON", reason="nel") from None
    entries = sent if isinstance(sent, list) else [sent]
    reports = [
        NetworkReport(
            _text(entry.get("url")),
            _text(entry.get("user_agent")) or None,
            max(0.0, _number(entry.get("age")) / 1e3),
            entry["body"],
        )
        for entry in entries
        if isinstance(entry, dict) and entry.get("type", REPORT_TYPE) == REPORT_TYPE and isinstance(entry.get("body"), dict)
    ]
    if not 0 < len(reports) <= MAX_REPORTS:
        raise RefusedRequestError(400, "invalid network report", "unknown form", reason="nel")
    return reports


def event_of(report: NetworkReport, received: float) -> dict[str, Any]:
    """Return the event that a report becomes. `received` is when it arrived, in epoch seconds.

    The message says what the error's type means, so that reports of one type are one group; the host is a tag.
    """
    body = report.body
    error_type = _text(body.get("type")) or "unknown"
    context = {name: value for name, value in body.items() if name not in {"type", "method", "referrer", "status_code", "url"}}
    event: dict[str, Any] = {
        "type": "nel",
        "logger": "nel",
        "level": "error",
        "timestamp": received - report.age_s,
        "logentry": {"formatted": _MEANINGS.get(error_type, error_type)},
        "contexts": {"nel": {"error_type": error_type, **context}},
        "tags": [["nel.type", error_type]],
    }
    url = _text(body.get("url")) or report.url
    if url:
        event["request"] = {"url": url, "method": _text(body.get("method")) or None, "headers": _headers(report)}
        event["tags"] += [["hostname", host]] if (host := _host(url)) else []
    if _number(body.get("status_code")):
        event["contexts"]["response"] = {"type": "response", "status_code": body["status_code"]}
    return event


def _headers(report: NetworkReport) -> list[list[str]]:
    sent = (("Referer", _text(report.body.get("referrer"))), ("User-Agent", report.user_agent))
    return [[name, value] for name, value in sent if value]


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12 else 0.0
