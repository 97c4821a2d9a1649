"""Finds the public key of a request in each place where clients put it. Pure functions; see docs/gateway.md, "Keys"."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import parse_qsl

from pipeline.http.answers import RefusedRequestError

CURRENT_VERSION = 7
CACHED_QUERY_CHARS = 200
"""Parsed queries up to this length are cached. A client sends the same short query with each request."""

_KEY = re.compile(r"[0-9a-zA-Z]{32}")
_FIELD = re.compile(r"(?:sentry_)?(\w+)\s*=\s*(.*)")


class Credentials(NamedTuple):
    """The public key, and the client's name and version if it was sent, such as `sentry.python/2.75.0`."""

    public_key: str
    client: str | None = None


def find_credentials(
    headers: Mapping[str, str], query: str, path_key: str | None = None, envelope_key: str | None = None
) -> Credentials:
    """Return the credentials of a request. `headers` have names in lower case; `envelope_key` is from the envelope's DSN.

    The envelope's key counts only if there is no other.
    Raises RefusedRequestError: 401 without a key, or with keys in more than one place; 400 for an invalid key or version.
    """
    found = [
        fields
        for fields in (
            _from_sentry_header(headers.get("x-sentry-auth")),
            _from_authorization(headers.get("authorization")),
            _from_query(query),
            {"key": path_key} if path_key else None,
        )
        if fields is not None
    ]
    if len(found) > 1:
        raise RefusedRequestError(401, "bad sentry authentication", "multiple authentications")
    fields = found[0] if found else {"key": envelope_key or ""}
    key = fields.get("key", "")
    if not key:
        raise RefusedRequestError(401, "missing authorization information")
    if not _KEY.fullmatch(key):
        raise RefusedRequestError(400, "bad sentry DSN public key")
    version = fields.get("version", "").split(".")[0] or str(CURRENT_VERSION)
    if not re.fullmatch("[0-9]{1,5}", version) or int(version) > CURRENT_VERSION:
        raise RefusedRequestError(400, f"unsupported protocol version ({fields['version'][:20]})")
    return Credentials(key.lower(), fields.get("client"))


def _from_sentry_header(value: str | None) -> dict[str, str] | None:
    """Parse `Sentry sentry_key=..., sentry_version=7`. None for another scheme."""
    scheme, _, rest = (value or "").strip().partition(" ")
    if scheme.lower() != "sentry":
        return None
    fields = (_FIELD.fullmatch(part.strip()) for part in rest.split(","))
    return {match[1]: match[2].strip() for match in fields if match}


def _from_authorization(value: str | None) -> dict[str, str] | None:
    """Parse `Authorization: Sentry ...`, or `Basic` with the key as the user name. None for other schemes."""
    scheme, _, rest = (value or "").strip().partition(" ")
    if scheme.lower() != "basic":
        return _from_sentry_header(value)
    try:
        text = base64.b64decode(rest.strip(), validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        raise RefusedRequestError(401, "bad sentry authentication", "malformed basic credentials") from None
    return {"key": text.partition(":")[0]}


def _from_query(query: str) -> dict[str, str] | None:
    """Return the parameters that begin with `sentry_`, except `sentry_data`, which is a body."""
    if "sentry_" not in query:
        return None
    return _parse_query(query) if len(query) <= CACHED_QUERY_CHARS else _parse_query.__wrapped__(query)


@lru_cache(maxsize=4_096)
def _parse_query(query: str) -> dict[str, str] | None:
    pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=None)
    fields = {
        name.removeprefix("sentry_"): value
        for name, value in pairs
        if name in {"sentry_key", "sentry_version", "sentry_client", "sentry_timestamp", "sentry_secret"}
    }
    return fields or None
