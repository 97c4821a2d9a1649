"""Users: who met the error, by which address, and under which name they are counted."""

from __future__ import annotations

from typing import Any

from pipeline.model.path import Path
from pipeline.stages.normalize.bags import bag
from pipeline.stages.normalize.report import Report
from pipeline.stages.normalize.shapes import record
from pipeline.stages.normalize.values import ip_address, is_ip, primitive, string, text

AUTO = "{{auto}}"

_INFERRED = frozenset({"javascript", "cocoa", "objc"})
"""Platforms whose events come from the user's own machine, so that the sender's address is the user's."""

_geo = record(dict.fromkeys(("country_code", "city", "subdivision", "region"), string), "geo")
_data = bag(2048, 5)
_FIELDS = {
    "id": primitive(128),
    "email": text(75),
    "username": primitive(128),
    "name": text(128),
    "ip_address": ip_address,
    "geo": _geo,
    "segment": string,
    "sentry_user": string,
}


def user(value: Any, path: Path, report: Report) -> dict[str, Any] | None:
    """Take a user; keys that are not the protocol's go to `data`."""
    if type(value) is not dict:
        if value is not None:
            report.invalid(path, "expected user", value)
        return None
    result: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for key, raw in value.items():
        parser = _FIELDS.get(key)
        if parser is not None:
            parsed = parser(raw, (path, key), report)
            if parsed is not None:
                result[key] = parsed
        elif key != "data":
            extra[key] = raw
    data = value.get("data")
    if type(data) is dict:
        extra = {**data, **extra}
    elif data is not None:
        report.invalid((path, "data"), "expected an object", data)
    if extra:
        result["data"] = _data(extra, (path, "data"), report)
    return result


def settle_ip(event: dict[str, Any], client_ip: str | None, *, infer: bool) -> None:
    """Fill in the user's address: REMOTE_ADDR first, then the connection's.

    Where the event names none, the connection's is the user's only on platforms that run at the user's own machine,
    or where the SDK's settings ask for it (`infer_ip`: "auto"; "never" takes none and removes the placeholder).
    Without `infer` only REMOTE_ADDR is looked at, and a placeholder that it does not fill stays.
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
    """Set `sentry_user`, the one name under which a user is counted: by id, username, email or address, what is there first."""
    found = event.get("user")
    if not found:
        return
    found.pop("sentry_user", None)
    for field, name in (("id", "id"), ("username", "username"), ("email", "email"), ("ip_address", "ip")):
        value = found.get(field)
        if value:
            found["sentry_user"] = f"{name}:{value}"
            return
