"""Requests: brings URL, query, headers, cookies and body into one form."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, unquote_plus

import orjson

from pipeline.model.event_path import EventPath
from pipeline.stages.normalize.remarks import Remarks
from pipeline.stages.normalize.shapes import record
from pipeline.stages.normalize.size_limits import free_value, sized_object
from pipeline.stages.normalize.values import Parser, json_string, primitive, string, text, trim, unsigned

_METHOD = re.compile(r"[A-Z\-_]{3,32}")
_ELLIPSIS = "\u2026"
"""Old SDKs of JavaScript end a URL that they cut with this character. All others use three dots."""
_URL_LIMIT, _URL_ALLOWANCE = 256, 40
MAX_PAIRS = 1_000
"""How many parameters, headers or cookies of a request are kept."""

Pairs = list[list[str | None] | None]


def _method(value: Any, path: EventPath, remarks: Remarks) -> str | None:
    method: str | None = string(value, path, remarks)
    if method is None:
        return None
    upper = method.upper()
    if _METHOD.fullmatch(upper):
        return upper
    remarks.error(path, "invalid_data", upper)
    return None


def _pairs(value: Any, path: EventPath, remarks: Remarks, read: Parser, order: Callable[[str], str] = str) -> Pairs:
    """Parse pairs, given as a list or as an object. The keys of an object are sorted. `read` parses the values.

    Items that are not pairs become null.
    """
    entries: list[Any] = [[key, value[key]] for key in sorted(value, key=order)] if type(value) is dict else value
    result: Pairs = []
    for index, entry in enumerate(entries[:MAX_PAIRS]):
        if type(entry) is list and len(entry) == 2 and type(entry[0]) is str:
            result.append([entry[0], read(entry[1], ((path, index), 1), remarks)])
        else:
            if entry is not None:
                remarks.invalid((path, index), "expected a tuple", entry)
            result.append(None)
    if len(entries) > MAX_PAIRS:
        remarks.shortened(path, len(entries))
    return result


def query_string(value: Any, path: EventPath, remarks: Remarks) -> Pairs | None:
    """Parse a query, given as text, pairs or an object."""
    if type(value) is str:
        return [*parse_query(value)]
    if type(value) in (dict, list):
        return _pairs(value, path, remarks, json_string)
    if value is not None:
        remarks.invalid(path, "expected a query string or map", value)
    return None


def parse_query(query: str) -> list[list[str | None]]:
    """Split a query, with or without its question mark. A name without a value gets an empty value."""
    parts = query.removeprefix("?").split("&", MAX_PAIRS)[:MAX_PAIRS]
    pairs = (part.partition("=") for part in parts if part)
    return [[unquote_plus(name), unquote_plus(value)] for name, _, value in pairs]


def headers(value: Any, path: EventPath, remarks: Remarks) -> Pairs | None:
    """Parse headers, given as pairs or an object. Names are written in Title-Case."""
    if type(value) not in (dict, list):
        if value is not None:
            remarks.invalid(path, "expected an array", value)
        return None
    pairs = _pairs(value, path, remarks, _header_value, _title_case)
    return [pair and [_title_case(pair[0] or ""), pair[1]] for pair in pairs]


def _header_value(value: Any, path: EventPath, remarks: Remarks) -> str | None:
    """Parse a header's value. Several values of one name are joined."""
    if type(value) is list:
        return ",".join(part for one in value if (part := json_string(one, path, remarks)) is not None)
    result: str | None = _header_text(value, path, remarks)
    return result


_header_text = primitive()


def _title_case(name: str) -> str:
    return "-".join(part[:1].upper() + part[1:] for part in name.split("-"))


def cookies(value: Any, path: EventPath, remarks: Remarks) -> Pairs | None:
    """Parse cookies, given as the text of their header, pairs or an object."""
    if type(value) is str:
        return parse_cookies(value, path, remarks)
    if type(value) in (dict, list):
        return _pairs(value, path, remarks, string)
    if value is not None:
        remarks.invalid(path, "expected cookies", value)
    return None


def parse_cookies(header: str, path: EventPath, remarks: Remarks) -> Pairs:
    """Split a Cookie header. Parts that are not cookies are recorded as errors."""
    result: Pairs = []
    for part in header.split(";", MAX_PAIRS)[:MAX_PAIRS]:
        name, equals, value = part.partition("=")
        name = name.strip()
        if equals and name:
            result.append([unquote(name), unquote(value.strip())])
        elif equals:
            remarks.invalid(path, "the cookie's name is empty")
        elif name:
            remarks.invalid(path, "the cookie is missing a name/value pair", header)
    return result


def _if_text(value: Any, _path: EventPath, _report: Remarks) -> str | None:
    return value if type(value) is str else None


_data = free_value(8192, 7)
_url = text(_URL_LIMIT, _URL_ALLOWANCE)


def _body(value: Any, path: EventPath, remarks: Remarks) -> Any:
    """Return a body. Text is kept whole: `_parse_body` cuts it after it was parsed, so that scrubbing sees its keys."""
    return value if type(value) is str else _data(value, path, remarks)


_fields = record(
    {
        "url": string,
        "method": _method,
        "data": _body,
        "query_string": query_string,
        "fragment": text(1024, 100),
        "cookies": cookies,
        "headers": headers,
        "env": sized_object(8192, 7),
        "protocol": string,
        "api_target": string,
        "body_size": unsigned,
        "inferred_content_type": _if_text,
    },
    "request",
)


def request(value: Any, path: EventPath, remarks: Remarks) -> dict[str, Any] | None:
    """Parse a request. Query and fragment move out of its URL, cookies out of its headers. JSON bodies and forms are parsed."""
    result: dict[str, Any] | None = _fields(value, path, remarks)
    if not result:
        return result
    _split_url(result, path, remarks)
    _move_cookies(result)
    _parse_body(result, path, remarks)
    for key in _PAIR_LIMITS:
        if key in result:
            result[key] = _bounded(key, result[key], (path, key), remarks)
    return {key: child for key, child in result.items() if child != []}


_PAIR_LIMITS = {
    name: (size, free_value(size, depth))
    for name, size, depth in (("query_string", 1024, 3), ("cookies", 2048, 5), ("headers", 8192, 7))
}


def _bounded(name: str, pairs: Pairs, path: EventPath, remarks: Remarks) -> Pairs:
    """Cut pairs to the size limit, which includes names. A pair of which only the name fits is dropped, with all after it."""
    size, cut_pairs = _PAIR_LIMITS[name]
    texts = [text for pair in pairs if pair for text in pair if text]
    if 4 * (sum(map(len, texts)) + 3 * len(pairs)) < size:
        return pairs
    kept: Pairs = cut_pairs(pairs, path, remarks)
    return [pair for pair in kept if pair is None or len(pair) == 2]


def _split_url(result: dict[str, Any], path: EventPath, remarks: Remarks) -> None:
    """Split query and fragment off the URL. If they were also sent as fields of their own, these win."""
    whole = result.get("url")
    if not whole:
        return
    if whole.endswith(_ELLIPSIS):
        whole = whole[:-1] + "..."
    url, _, fragment = whole.partition("#")
    url, _, query = url.partition("?")
    if query and "query_string" not in result:
        result["query_string"] = parse_query(query)
    if fragment and "fragment" not in result:
        result["fragment"] = trim(fragment, (path, "fragment"), remarks, 1024, 100)
    result["url"] = _url(url.replace(" ", "%20") if "://" in url else url, (path, "url"), remarks)


def _move_cookies(result: dict[str, Any]) -> None:
    """Move the first Cookie header to `cookies`, if there are none yet. A header that holds anything but cookies stays."""
    sent = result.get("headers") or ()
    for index, pair in enumerate(sent):
        if pair and pair[0] == "Cookie" and pair[1]:
            faults = Remarks()
            found = result.get("cookies") or parse_cookies(pair[1], None, faults)
            if not faults.errors:
                result["headers"] = [*sent[:index], *sent[index + 1 :]]
                result["cookies"] = found
            return


def _parse_body(result: dict[str, Any], path: EventPath, remarks: Remarks) -> None:
    """Parse a body that was sent as text, then cut it. Set `inferred_content_type` from the body, or from the header.

    If the body was cut first, it would no longer be valid JSON. Scrubbing rules could not see its keys, and secrets would be
    stored.
    """
    body = result.get("data")
    if body == "":
        del result["data"]
    elif type(body) is str:
        parsed, kind = _parsed(body)
        if kind is not None:
            result["data"] = _data(parsed, (path, "data"), remarks)
            result["inferred_content_type"] = kind
            return
        result["data"] = _data(body, (path, "data"), remarks)
    declared = next((pair[1] for pair in result.get("headers") or () if pair and pair[0] == "Content-Type" and pair[1]), None)
    if declared:
        result["inferred_content_type"] = declared.partition(";")[0].strip()


def _parsed(body: str) -> tuple[Any, str | None]:
    """Return a body's value and content type, both None if it does not look like JSON or a form."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        is_other = body.lstrip("\ufeff \t\r\n")[:1] in {"{", "[", "<"} or body.startswith(
            "--"
        )  # the last begins the parts of a form
        pairs = parse_query(body) if "=" in body and not is_other else []
        # Base64 ends in what looks like a name without a value, and a comparison has one that begins with `=`.
        if len(pairs) < 2 and not any(value and not value.startswith("=") for _, value in pairs):
            return None, None
        return {pair[0]: pair[1] for pair in pairs}, "application/x-www-form-urlencoded"
    return (None, None) if value is None else (value, "application/json")
