"""Release, distribution and environment. They become columns of the storage, so their forms are strict."""

from __future__ import annotations

import re

from pipeline.model.event_path import EventPath
from pipeline.stages.normalize.remarks import Remarks

_RESTRICTED = frozenset({"latest", ".", ".."})
_NO_ENVIRONMENT = frozenset({"none", ".", ".."})
_BAD_CHARACTER = re.compile(r"[\x00-\x1f\x7f/\\]")
_BAD_DIST_CHARACTER = re.compile(r"[^a-zA-Z0-9_.-]")


ENVIRONMENT_LIMIT = 64


def release(value: str, path: EventPath, remarks: Remarks) -> str | None:
    """Parse a release of up to 200 characters."""
    name = value.strip()
    if not name:
        remarks.invalid(path, "expected a non-empty string")
        return None
    if len(name) > 200 or name.lower() in _RESTRICTED or _BAD_CHARACTER.search(name):
        remarks.error(path, "invalid_data", value)
        return None
    return name


def environment(value: str, path: EventPath, remarks: Remarks) -> str | None:
    """Parse an environment of up to 64 bytes."""
    name = value.strip()
    if not name:
        remarks.invalid(path, "expected a non-empty string")
        return None
    if (
        len(name.encode(errors="surrogatepass")) > ENVIRONMENT_LIMIT
        or name.lower() in _NO_ENVIRONMENT
        or _BAD_CHARACTER.search(name)
    ):
        remarks.error(path, "invalid_data", value)
        return None
    return name


def dist(value: str, path: EventPath, remarks: Remarks) -> str | None:
    """Parse a distribution of up to 64 characters."""
    name = value.strip()
    if not name:
        remarks.invalid(path, "expected a non-empty string")
        return None
    bad = _BAD_DIST_CHARACTER.search(name)
    if bad is not None:
        remarks.invalid(path, f"invalid character {bad[0]!r}", value)
        return None
    if len(name) > 64:
        remarks.error(path, "value_too_long", value)
        return None
    return name
