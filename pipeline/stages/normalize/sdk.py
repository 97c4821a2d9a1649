"""SDK: which library sent the event."""

from __future__ import annotations

from typing import Any

from pipeline.model.path import Path
from pipeline.stages.normalize.report import Report
from pipeline.stages.normalize.shapes import array, record
from pipeline.stages.normalize.values import ip_address, string, text


def _infer_ip(value: Any, path: Path, report: Report) -> str | None:
    """Take whether the SDK wants the user's address filled in."""
    if type(value) is str and value in {"auto", "never", "legacy"}:
        return value
    report.invalid(path, "expected auto, never or legacy", value)
    return None


_sdk_fields = record(
    {
        "name": text(256, 20),
        "version": text(256, 20),
        "integrations": array(string, keep_nulls=False),
        "features": array(string),
        "packages": array(record({"name": string, "version": string}, "clientsdkpackage")),
        "client_ip": ip_address,
        "settings": record({"infer_ip": _infer_ip}, "sdksettings"),
    },
    "clientsdkinfo",
)


def sdk(value: Any, path: Path, report: Report) -> dict[str, Any] | None:
    """Take the SDK's name and version; either missing is an error."""
    result: dict[str, Any] | None = _sdk_fields(value, path, report)
    if result is not None:
        for name in ("name", "version"):
            if value.get(name) is None:
                report.error((path, name), "missing_attribute")
    return result or None
