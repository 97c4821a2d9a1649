"""Release, distribution and environment: names that become storage columns, so they are strict."""

from __future__ import annotations

import re

from pipeline.model.path import Path
from pipeline.stages.normalize.report import Report

_RESTRICTED = frozenset({"latest", ".", ".."})
_NO_ENVIRONMENT = frozenset({"none", ".", ".."})
_BAD_CHARACTER = re.compile(r"[\x00-\x1f\x7f/\\]")
_BAD_DIST_CHARACTER = re.compile(r"[^a-zA-Z0-9_.-]")


ENVIRONMENT_LIMIT = 64


def release(value: str, path: Path, report: Report) -> str | None:
    """Take a release of up to 200 characters."""
    name = value.strip()
    if not name:
        report.invalid(path, "expected a non-empty string")
        return None
    if len(name) > 200 or name.lower() in _RESTRICTED or _BAD_CHARACTER.search(name):
        report.error(path, "invalid_data", value)
        return None
    return name


def environment(value: str, path: Path, report: Report) -> str | None:
    """Take an environment of up to 64 bytes."""
    name = value.strip()
    if not name:
        report.invalid(path, "expected a non-empty string")
        return None
    if (
        len(name.encode(errors="surrogatepass")) > ENVIRONMENT_LIMIT
        or name.lower() in _NO_ENVIRONMENT
        or _BAD_CHARACTER.search(name)
    ):
        report.error(path, "invalid_data", value)
        return None
    return name


def dist(value: str, path: Path, report: Report) -> str | None:
    """Take a distribution of up to 64 characters."""
    name = value.strip()
    if not name:
        report.invalid(path, "expected a non-empty string")
        return None
    bad = _BAD_DIST_CHARACTER.search(name)
    if bad is not None:
        report.invalid(path, f"invalid character {bad[0]!r}", value)
        return None
    if len(name) > 64:
        report.error(path, "value_too_long", value)
        return None
    return name
