"""SDK: the library that sent the event."""

from __future__ import annotations

from typing import Any

from pipeline.model.event_path import EventPath
from pipeline.stages.normalize.remarks import Remarks
from pipeline.stages.normalize.shapes import array, record
from pipeline.stages.normalize.values import ip_address, string, text


def _infer_ip(value: Any, path: EventPath, remarks: Remarks) -> str | None:
    """Parse whether the SDK wants the user's address filled in."""
    if type(value) is str and value in {"auto", "never", "legacy"}:
        return value
    remarks.invalid(path, "expected auto, never or legacy", value)
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


def sdk(value: Any, path: EventPath, remarks: Remarks) -> dict[str, Any] | None:
    """Parse the SDK's name and version. If either is missing, that is an error."""
    result: dict[str, Any] | None = _sdk_fields(value, path, remarks)
    if result is not None:
        for name in ("name", "version"):
            if value.get(name) is None:
                remarks.error((path, name), "missing_attribute")
    return result or None
