"""Ids that senders and build tools write in several forms: UUIDs and debug ids."""

from __future__ import annotations

import re
from typing import Any

_HEX = re.compile(r"[0-9a-fA-F]{32}")
_UUID = re.compile(r"(\{|urn:uuid:)?([0-9a-fA-F]{8})-([0-9a-fA-F]{4})-([0-9a-fA-F]{4})-([0-9a-fA-F]{4})-([0-9a-fA-F]{12})\}?")
_DEBUG_ID = re.compile(
    r"([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})-?([0-9a-f]{0,8})", re.IGNORECASE
)


def parse_uuid(value: Any) -> str | None:
    """Parse a UUID to 32 lower-case digits. None for any other value.

    >>> parse_uuid("DFB8E43A-F242-3D73-A453-8AEB6A777EF7")
    'dfb8e43af2423d73a4538aeb6a777ef7'
    """
    if type(value) is not str:
        return None
    if _HEX.fullmatch(value):
        return value.lower()
    match = _UUID.fullmatch(value)
    if match is None or (match[1] == "{") != value.endswith("}"):
        return None
    return "".join(match.groups()[1:]).lower()


def parse_debug_id(value: Any) -> str | None:
    """Parse a debug id: a UUID, for some formats with up to eight digits behind it. None for any other value.

    The result is in lower case and has dashes. The digits behind the UUID are left out if they are zero.

    >>> parse_debug_id("DFB8E43AF2423D73A4538AEB6A777EF7-0a")
    'dfb8e43a-f242-3d73-a453-8aeb6a777ef7-a'
    """
    match = _DEBUG_ID.fullmatch(value) if type(value) is str else None
    if match is None:
        return None
    *parts, appendix = match.groups()
    return "-".join([*parts, appendix.lstrip("0")] if appendix.strip("0") else parts).lower()
