"""Users: parses the user, fills in the address, and sets the name under which the user is counted."""

from __future__ import annotations

from typing import Any

from pipeline.model.event_path import EventPath
from pipeline.stages.normalize.remarks import Remarks
from pipeline.stages.normalize.shapes import record
from pipeline.stages.normalize.size_limits import sized_object
from pipeline.stages.normalize.values import Parser, ip_address, is_ip, primitive, string, text

AUTO = "{{auto}}"

_INFERRED = frozenset({"javascript", "cocoa", "objc"})
"""Platforms that run on the user's own machine, so that the sender's address is the user's."""

_geo = record(dict.fromkeys(("country_code", "city", "subdivision", "region"), string), "geo")
_data = sized_object(2048, 5)
_FIELDS: dict[str, Parser] = {
    "id": primitive(128),
    "email": text(75),
    "username": primitive(128),
    "name": text(128),
    "ip_address": ip_address,
    "geo": _geo,
    "segment": string,
    "sentry_user": string,
}


def user(value: Any, path: EventPath, remarks: Remarks) -> dict[str, Any] | None:
    """Parse a user. Unknown keys move to `data`."""
    if type(value) is not dict:
        if value is not None:
            remarks.invalid(path, "expected user", value)
        return None
    result: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for key, raw in value.items():
        parser = _FIELDS.get(key)
        if parser is not None:
            parsed = parser(raw, (path, key), remarks)
            if parsed is not None:
                result[key] = parsed
        elif key != "data":
            extra[key] = raw
    data = value.get("data")
    if type(data) is dict:
        extra = {**data, **extra}
    elif data is not None:
        remarks.invalid((path, "data"), "expected an object", data)
    if extra:
        result["data"] = _data(extra, (path, "data"), remarks)
    return result


def settle_ip(event: dict[str, Any], client_ip: str | None, *, infer: bool) -> None:
    """Fill in the user's address if it is missing or the placeholder `{{auto}}`: from REMOTE_ADDR, else from the connection.

    A missing address is filled in from the connection only on platforms that run on the user's own machine, or if the SDK's
    settings have `infer_ip` "auto". With "never" nothing is filled in, and the placeholder is removed.
    If `infer` is false, only REMOTE_ADDR is used, and a placeholder that it cannot replace stays.
    """
    found = event.get("user") or {}
    wish = ((event.get("sdk") or {}).get("settings") or {}).get("infer_ip")
    given = found.get("ip_address")
    remote = ((event.get("request") or {}).get("env") or {}).get("REMOTE_ADDR")
    remote = remote if isinstance(remote, str) and is_ip(remote) else None
    connection = client_ip if infer else None
    address = given
    if wish == "never":
        address = None if given == AUTO else given
    elif given == AUTO:
        address = remote or connection or (None if infer else AUTO)
    elif given is None:
        address = remote or (connection if wish == "auto" or event.get("platform") in _INFERRED else None)
    if address is not None:
        event["user"] = {**found, "ip_address": address}
    elif given is not None:
        del found["ip_address"]


def name_user(event: dict[str, Any]) -> None:
    """Set `sentry_user`, the name under which a user is counted: id, username, email or address, whichever comes first."""
    found = event.get("user")
    if not found:
        return
    found.pop("sentry_user", None)
    for field, name in (("id", "id"), ("username", "username"), ("email", "email"), ("ip_address", "ip")):
        value = found.get(field)
        if value:
            found["sentry_user"] = f"{name}:{value}"
            return
