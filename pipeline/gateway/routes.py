"""Finds the endpoint of a path. Pure functions; see docs/gateway.md, "Endpoints"."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import unquote

from pipeline.http.answers import RefusedRequestError


class Endpoint(StrEnum):
    """The endpoints, by what clients send there."""

    ENVELOPE = "envelope"
    STORE = "store"
    SECURITY = "security"
    """Reports of browsers about a page's security policy; also under `csp-report`."""
    NEL = "nel"
    """Reports of browsers about network errors."""
    MINIDUMP = "minidump"
    UNREAL = "unreal"
    CRON = "cron"
    OTLP_TRACES = "otlp_traces"
    OTLP_LOGS = "otlp_logs"
    ATTACHMENTS = "attachments"


class Route(NamedTuple):
    """An endpoint and its project.

    The project is None for `/api/store/`, where the key tells it. `path_key` is a key in the path.
    """

    endpoint: Endpoint
    project_id: int | None
    path_key: str | None = None


_ID = r"/api/(?P<project>[^/]+)"
_ROUTES: tuple[tuple[re.Pattern[str], Endpoint], ...] = tuple(
    (re.compile(f"{pattern}/?"), endpoint)
    for pattern, endpoint in (
        (rf"{_ID}/envelope", Endpoint.ENVELOPE),
        (rf"{_ID}/store", Endpoint.STORE),
        ("/api/store", Endpoint.STORE),
        (rf"{_ID}/(?:security|csp-report)", Endpoint.SECURITY),
        (rf"{_ID}/nel", Endpoint.NEL),
        (rf"{_ID}/minidump", Endpoint.MINIDUMP),
        (rf"{_ID}/unreal/(?P<key>[^/]+)", Endpoint.UNREAL),
        (rf"{_ID}/cron/[^/]+(?:/(?P<key>[^/]+))?", Endpoint.CRON),
        (rf"{_ID}/integration/otlp/v1/traces", Endpoint.OTLP_TRACES),
        (rf"{_ID}/integration/otlp/v1/logs", Endpoint.OTLP_LOGS),
        (rf"{_ID}/events/[^/]+/attachments", Endpoint.ATTACHMENTS),
    )
)
_PROJECT = re.compile("[0-9]{1,19}")


def is_for_sdks(path: str) -> bool:
    """Whether a path is for SDKs, so that browsers may send from any origin: `/api/<project>/` except 0, and `/api/store/`."""
    return path.startswith("/api/") and not path.startswith("/api/0/")


def find_route(path: str) -> Route | None:
    """Return the endpoint of a path without doubled slashes, or None if there is no such endpoint.

    Raises RefusedRequestError (400) if the project is not a positive number.
    """
    if not is_for_sdks(path):
        return None
    for pattern, endpoint in _ROUTES:
        match = pattern.fullmatch(path)
        if match is None:
            continue
        groups = match.groupdict()
        project = groups.get("project")
        if project is not None and (not _PROJECT.fullmatch(project) or not 0 < int(project) < 2**63):
            raise RefusedRequestError(400, "invalid project path parameter")
        key = groups.get("key")
        return Route(endpoint, None if project is None else int(project), key and unquote(key))
    return None
