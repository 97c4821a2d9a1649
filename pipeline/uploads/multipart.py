"""Parser of `multipart/form-data` bodies, in which chunks are sent."""

from __future__ import annotations

import re
from typing import NamedTuple

from pipeline.uploads.answers import ApiError

MAX_PARTS = 64
_BOUNDARY = re.compile(r'multipart/form-data\s*;.*?boundary="?([^";,\s]{1,200})"?', re.IGNORECASE)
_FIELD = re.compile(r'\b(name|filename)="([^"]*)"')


class FormPart(NamedTuple):
    """One part: the form field's name, the file name that was sent with it, and the content."""

    name: str
    file_name: str
    content: bytes


def parse_multipart(content_type: str, body: bytes) -> list[FormPart]:
    """Cut a body into its parts. Raises ApiError (400) for any other body."""
    match = _BOUNDARY.match(content_type)
    if match is None:
        raise ApiError(400, "expected multipart/form-data with a boundary")
    delimiter = b"--" + match[1].encode("latin-1", "replace")
    at = body.find(delimiter)
    parts: list[FormPart] = []
    while at >= 0:
        start = at + len(delimiter)
        if body.startswith(b"--", start):
            return parts
        end = body.find(b"\r\n" + delimiter, start)
        head_end = body.find(b"\r\n\r\n", start, end)
        if end < 0 or head_end < 0 or len(parts) == MAX_PARTS:
            break
        fields = dict(_FIELD.findall(body[start:head_end].decode("utf-8", "replace")))
        parts.append(FormPart(fields.get("name", ""), fields.get("filename", ""), body[head_end + 4 : end]))
        at = end + 2
    raise ApiError(400, "the multipart body is cut off, or has too many parts")
