"""Requests: one form for URL, query, headers, cookies and body, however the SDK sent them."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

import orjson

from pipeline.stages.normalize.bags import bag, free_value
from pipeline.stages.normalize.json_text import to_json_text
from pipeline.stages.normalize.report import Path, Report
from pipeline.stages.normalize.shapes import record
from pipeline.stages.normalize.values import printed, string, text, trim

_METHOD = re.compile(r"[A-Z\-_]{3,32}")
_URL_LIMIT, _URL_ALLOWANCE = 256, 40
_MAX_PAIRS = 1_000


def _method(value: Any, path: Path, report: Report) -> str | None:
    method = string(value, path, report)
    if method is None:
        return None
    upper = method.upper()
    if _METHOD.fullmatch(upper):
        return upper
    report.error(path, "invalid_data", value)
    return None


def _text_of(value: Any) -> str | None:
    """Print the value of a header or a query parameter; lists and objects as JSON."""
    if value is None:
        return None
    result = printed(value)
    return result if result is not None else to_json_text(value)


def _pairs(value: Any, path: Path, report: Report) -> list[list[str | None]]:
    """Read pairs out of an object or a list of pairs."""
    if type(value) is dict:
        entries: list[Any] = [[key, child] for key, child in sorted(value.items())]
    else:
        entries = value
    result: list[list[str | None]] = []
    for index, entry in enumerate(entries[:_MAX_PAIRS]):
        if type(entry) is list and len(entry) == 2:
            key, child = entry
            result.append([_text_of(key), _text_of(child)])
        elif entry is not None:
            report.invalid((path, index), "expected a tuple", entry)
    return result


def query_string(value: Any, path: Path, report: Report) -> list[list[str | None]] | None:
    """Take a query as text, pairs or an object."""
    if type(value) is str:
        return parse_query(value)
    if type(value) in (dict, list):
        return _pairs(value, path, report)
    if value is not None:
        report.invalid(path, "expected a query string or map", value)
    return None


def parse_query(query: str) -> list[list[str | None]]:
    """Split a query, with or without its question mark; a name without a value has an empty one."""
    parts = query.removeprefix("?").split("&", _MAX_PAIRS)[:_MAX_PAIRS]
    pairs = (part.partition("=") for part in parts if part)
    return [[unquote_plus(name), unquote_plus(value)] for name, _, value in pairs]


def headers(value: Any, path: Path, report: Report) -> list[list[str | None]] | None:
    """Take headers as pairs or an object; names in Title-Case."""
    if type(value) not in (dict, list):
        if value is not None:
            report.invalid(path, "expected an array", value)
        return None
    return [[_title_case(name), child] for name, child in _pairs(value, path, report)]


def _title_case(name: str | None) -> str | None:
    return (
        "-".join(part[:1].upper() + part[1:].lower() if part.islower() or part.isupper() else part for part in name.split("-"))
        if name
        else name
    )


def cookies(value: Any, path: Path, report: Report) -> list[list[str | None]] | None:
    """Take cookies as the text of their header, pairs or an object."""
    if type(value) is str:
        return parse_cookies(value, path, report)
    if type(value) in (dict, list):
        return _pairs(value, path, report)
    if value is not None:
        report.invalid(path, "expected cookies", value)
    return None


def parse_cookies(header: str, path: Path, report: Report) -> list[list[str | None]]:
    """Split a Cookie header."""
    result: list[list[str | None]] = []
    for part in header.split(";", _MAX_PAIRS)[:_MAX_PAIRS]:
        name, equals, value = part.strip().partition("=")
        if equals and name:
            result.append([name, value])
        elif part.strip():
            report.invalid(path, "the cookie is missing a name/value pair", header)
    return result


_url = text(_URL_LIMIT, _URL_ALLOWANCE)

_fields = record(
    {
        "url": string,
        "method": _method,
        "data": free_value(8192, 7),
        "query_string": query_string,
        "fragment": text(1024, 100),
        "cookies": cookies,
        "headers": headers,
        "env": bag(8192, 7),
        "protocol": string,
        "api_target": string,
        "body_size": lambda value, _path, _report: value if type(value) is int else None,
        "inferred_content_type": string,
    },
    "request",
)  # fmt: skip


def request(value: Any, path: Path, report: Report) -> dict[str, Any] | None:
    """Take a request: query and fragment out of its URL, cookies out of its headers, its body parsed where it is JSON or a form."""
    result = _fields(value, path, report)
    if not result:
        return result
    url = result.get("url")
    if url:
        url, _, fragment = url.partition("#")
        url, _, query = url.partition("?")
        if query and not result.get("query_string"):
            result["query_string"] = parse_query(query)
        if fragment and not result.get("fragment"):
            result["fragment"] = trim(fragment, (path, "fragment"), report, 1024, 100)
        result["url"] = _url(url, (path, "url"), report)
    _move_cookies(result, path, report)
    _parse_body(result)
    return result


def _move_cookies(result: dict[str, Any], path: Path, report: Report) -> None:
    sent = result.get("headers")
    if not sent:
        return
    kept = []
    for name, value in sent:
        if name == "Cookie" and value and not result.get("cookies"):
            result["cookies"] = parse_cookies(value, (path, "cookies"), report)
        else:
            kept.append([name, value])
    result["headers"] = kept


def _parse_body(result: dict[str, Any]) -> None:
    body = result.get("data")
    content_type = next((value for name, value in result.get("headers") or () if name == "Content-Type" and value), None)
    kind = content_type.split(";")[0].strip().lower() if content_type else None
    if type(body) is not str or not body:
        if body is not None and kind is not None and not result.get("inferred_content_type"):
            result["inferred_content_type"] = kind
        return
    if body[0] in "{[" and kind in {None, "application/json"}:
        try:
            result["data"] = orjson.loads(body)
            result["inferred_content_type"] = "application/json"
        except orjson.JSONDecodeError:
            return
    elif "=" in body and body[0] not in "{[<" and kind in {None, "application/x-www-form-urlencoded"} and "\n" not in body:
        pairs = parse_qsl(body, keep_blank_values=True, max_num_fields=None)
        if pairs:
            result["data"] = dict(pairs)
            result["inferred_content_type"] = "application/x-www-form-urlencoded"
    elif kind is not None:
        result["inferred_content_type"] = kind
