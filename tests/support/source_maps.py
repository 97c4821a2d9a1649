"""Source maps for tests, written token by token, and events whose frames point into them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import groupby
from typing import Any

from support.artifact_bundles import BuiltFile

_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

Token = tuple[int, ...]
"""(line, column) in the built file, then source, line, column, and name where there is one; all from 0."""


def encode_mappings(tokens: Iterable[Token]) -> str:
    """Write tokens, ordered by line and column, as `mappings`."""
    lines: list[str] = []
    previous = [0, 0, 0, 0]
    for line, group in groupby(tokens, key=lambda token: token[0]):
        lines += [""] * (line - len(lines) + 1)
        column, segments = 0, []
        for token in group:
            segment = _vlq(token[1] - column)
            column = token[1]
            for field, value in enumerate(token[2:]):
                segment += _vlq(value - previous[field])
                previous[field] = value
            segments.append(segment)
        lines[line] = ",".join(segments)
    return ";".join(lines)


def _vlq(number: int) -> str:
    rest, digits = (abs(number) << 1) | (number < 0), ""
    while True:
        rest, digit = rest >> 5, rest & 31
        digits += _DIGITS[digit | (32 if rest else 0)]
        if not rest:
            return digits


def source_map(tokens: Iterable[Token], sources: list[str], contents: list[str | None] | None = None, **more: Any) -> bytes:
    """Write a map."""
    body = {"version": 3, "sources": sources, "names": [], "mappings": encode_mappings(tokens), **more}
    if contents is not None:
        body["sourcesContent"] = contents
    return json.dumps(body).encode()


CODE = b'function a(b){throw new Error("no "+b)}a(1);\n//# sourceMappingURL=app.min.js.map\n'
"""Throws at line 1, column 15 (from 1), called at column 40."""
SOURCE = 'export function refuse(what) {\n  throw new Error("no " + what);\n}\n\nrefuse(1);\n'
MAP = source_map([(0, 9, 0, 0, 16, 0), (0, 14, 0, 1, 2), (0, 39, 0, 4, 0, 0)], ["../src/app.js"], [SOURCE], names=["refuse"])
URL = "https://shop.example/static/app.min.js"
FILES = [BuiltFile("~/static/app.min.js", CODE), BuiltFile("~/static/app.min.js.map", MAP, "source_map")]


def event(*frames: dict[str, Any], release: str | None = "shop@1", **more: Any) -> Any:
    """Make a normalized event of a browser; by default its frame is the one that throws in `CODE`."""
    crashed = {"abs_path": URL, "filename": "/static/app.min.js", "function": "a", "lineno": 1, "colno": 15}
    values = [{"type": "Error", "value": "no 1", "stacktrace": {"frames": list(frames) or [crashed]}}]
    return {"platform": "javascript", "release": release, "exception": {"values": values}, **more}


def frames_of(event: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the frames of an event's only exception."""
    frames: list[dict[str, Any]] = event["exception"]["values"][0]["stacktrace"]["frames"]
    return frames
