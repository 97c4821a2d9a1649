"""The description of the endpoints that Sentry's API does not have, in the form of OpenAPI 3.1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline import __version__
from pipeline.uploads.answers import ApiAnswer

if TYPE_CHECKING:
    from pipeline.api.call import ApiCall


def show(_call: ApiCall) -> ApiAnswer:
    """Answer with the description."""
    return ApiAnswer(200, document())


def document() -> dict[str, Any]:
    """Return the description."""
    organization, project = (_in_path(name, f"slug or number of the {name}") for name in ("organization", "project"))
    period = [
        _in_query("statsPeriod", "such as 24h or 14d"),
        _in_query("start", "a time in ISO 8601; then `end` is needed too"),
        _in_query("end", "a time in ISO 8601"),
    ]
    event = _in_path("event", "id of the event")
    why = "Why events group as they do: the tree of values, which of them contribute, and which rule decided"
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "event-pipeline",
            "version": __version__,
            "description": "What is here besides the part of Sentry's API that docs/api.md lists.",
        },
        "servers": [{"url": "/api/0"}],
        "security": [{"token": []}],
        "paths": {
            "/organizations/{organization}/issues/{issue}/why/": _get(
                f"{why}, for the newest event of a group",
                [organization, _in_path("issue", "number or short id of the group")],
                _ANY,
            ),
            "/organizations/{organization}/events/{event}/why/": _get(
                f"{why}; with `other`, what two events share and what differs first",
                [organization, event, _in_query("other", "id of another event")],
                _ANY,
            ),
            "/organizations/{organization}/outcomes/": _get(
                "What became of everything that came in",
                [organization, _in_query("project", "slug or number"), *period],
                _OUTCOMES,
            ),
            "/projects/{organization}/{project}/limits/": _get(
                "The quotas that hold for a project, and what was refused", [organization, project, *period], _LIMITS
            ),
            "/projects/{organization}/{project}/rules/preview/": {
                "post": {
                    "summary": "What a change of rules would merge, split, drop or scrub among the newest events",
                    "parameters": [organization, project, *period],
                    "requestBody": {"required": True, "content": {"application/json": {"schema": _PREVIEW}}},
                    "responses": _responses(_ANY),
                }
            },
        },
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


_TEXT, _NUMBER, _ANY = {"type": "string"}, {"type": "integer"}, {"type": "object"}
_OUTCOMES = {
    "type": "object",
    "properties": {
        "start": _TEXT,
        "end": _TEXT,
        "outcomes": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "outcome": _TEXT,
                    "reason": _TEXT,
                    "category": _TEXT,
                    "project": _NUMBER,
                    "quantity": _NUMBER | {"description": "bytes for attachments, else items"},
                    "number": _NUMBER | {"description": "of outcomes"},
                },
            },
        },
    },
}
_LIMITS = {
    "type": "object",
    "properties": {
        "start": _TEXT,
        "end": _TEXT,
        "quotas": {"type": "array", "items": _ANY},
        "refused": {"type": "array", "items": _ANY},
    },
}
_PREVIEW = {
    "type": "object",
    "required": ["files"],
    "properties": {
        "files": {
            "type": "object",
            "description": "texts of rule files by their names, such as default/fingerprints.rules; null removes a file",
            "additionalProperties": {"type": ["string", "null"]},
        },
        "events": _NUMBER | {"description": "how many of the newest are taken", "minimum": 1, "maximum": 1000, "default": 200},
    },
}


def _get(summary: str, parameters: list[dict[str, Any]], schema: dict[str, Any]) -> dict[str, Any]:
    return {"get": {"summary": summary, "parameters": parameters, "responses": _responses(schema)}}


def _responses(schema: dict[str, Any]) -> dict[str, Any]:
    detail = {"type": "object", "properties": {"detail": _TEXT}}
    refusals = {"400": "a parameter is wrong", "401": "no token, or a wrong one", "404": "no such thing"}
    return {"200": _response("the answer", schema)} | {status: _response(text, detail) for status, text in refusals.items()}


def _response(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _in_path(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "description": description, "schema": _TEXT}


def _in_query(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": _TEXT}
