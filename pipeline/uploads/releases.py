"""Releases and deploys, as clients register them. Each is a blob of its own, so that all replicas show the same."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import orjson

from pipeline.model.outcome import format_datetime
from pipeline.sourcemaps.stores.blobs import Blobs
from pipeline.uploads.answers import ApiAnswer, ApiError

MAX_VERSION_CHARS = 200
MAX_KEPT_BYTES = 100_000

Fields = dict[str, Any]


class Releases:
    """The releases of all projects of this installation. Commits are accepted but not kept."""

    def __init__(self, blobs: Blobs, now: Callable[[], float]) -> None:
        self._blobs = blobs
        self._now = now

    def create(self, organization: str, sent: Fields) -> ApiAnswer:
        """Answer 201 for a new release, 208 for one that is known."""
        version = sent.get("version")
        if not isinstance(version, str) or not 0 < len(version) <= MAX_VERSION_CHARS:
            raise ApiError(400, f"version: a text of 1 to {MAX_VERSION_CHARS} characters")
        known = self._read(_release(organization, version))
        return ApiAnswer(208 if known else 201, self._write(organization, version, known, sent))

    def show(self, organization: str, version: str) -> ApiAnswer:
        """Answer with a release, or 404."""
        known = self._read(_release(organization, version))
        if known is None:
            raise ApiError(404, "no such release")
        return ApiAnswer(200, known)

    def change(self, organization: str, version: str, sent: Fields) -> ApiAnswer:
        """Change a release, or create it, because clients may send a PUT for a release that does not exist yet."""
        known = self._read(_release(organization, version))
        return ApiAnswer(200 if known else 201, self._write(organization, version, known, sent))

    def delete(self, organization: str, version: str) -> ApiAnswer:
        """Forget a release and its deploys. Its bundles stay: `pipeline sourcemaps prune` removes those."""
        for name in (_release(organization, version), *self._blobs.names(_deploys(organization, version))):
            self._blobs.remove(name)
        return ApiAnswer(204, None)

    def list(self, organization: str) -> ApiAnswer:
        """Answer with all releases, the newest first."""
        found = [self._read(name) for name in self._blobs.names(f"releases/{_key(organization)}")]
        return ApiAnswer(200, sorted((one for one in found if one), key=lambda one: str(one["dateCreated"]), reverse=True))

    def deploy(self, organization: str, version: str, sent: Fields) -> ApiAnswer:
        """Keep a deploy of a release."""
        if not isinstance(sent.get("environment"), str):
            raise ApiError(400, "environment: a text")
        now = format_datetime(self._now())
        names = ("environment", "name", "url", "dateStarted", "dateFinished")
        deploy = {name: sent.get(name) for name in names}
        deploy["dateFinished"] = deploy["dateFinished"] or now
        deploy["id"] = hashlib.sha1(orjson.dumps([organization, version, deploy, now])).hexdigest()[:16]  # noqa: S324 -- a name
        self._put(f"{_deploys(organization, version)}/{deploy['id']}", deploy)
        return ApiAnswer(201, deploy)

    def deploys(self, organization: str, version: str) -> ApiAnswer:
        """Answer with a release's deploys, the newest first."""
        found = [self._read(name) for name in self._blobs.names(_deploys(organization, version))]
        return ApiAnswer(200, sorted((one for one in found if one), key=lambda one: str(one["dateFinished"]), reverse=True))

    def _write(self, organization: str, version: str, known: Fields | None, sent: Fields) -> Fields:
        release: Fields = known or {
            "version": version,
            "shortVersion": version,
            "url": None,
            "ref": None,
            "dateCreated": format_datetime(self._now()),
            "dateReleased": None,
            "lastEvent": None,
            "newGroups": 0,
            "projects": [],
        }
        for name in ("url", "ref", "dateReleased", "dateStarted"):
            if isinstance(sent.get(name), str):
                release[name] = sent[name]
        if isinstance(sent.get("projects"), list):
            slugs = [project for project in sent["projects"] if isinstance(project, str)]
            release["projects"] = [{"slug": slug, "name": slug} for slug in dict.fromkeys(slugs)][:1_000]
        self._put(_release(organization, version), release)
        return release

    def _put(self, name: str, fields: Fields) -> None:
        text = orjson.dumps(fields)
        if len(text) > MAX_KEPT_BYTES:
            raise ApiError(400, "the request is too large")
        self._blobs.put(name, text)

    def _read(self, name: str) -> Fields | None:
        text = self._blobs.get(name)
        fields: Fields | None = None if text is None else orjson.loads(text)
        return fields


def _key(text: str) -> str:
    """Return the name of a blob for any text, because versions may hold slashes and other characters."""
    return hashlib.sha1(text.encode("utf-8", "replace")).hexdigest()  # noqa: S324 -- a name, not a proof


def _release(organization: str, version: str) -> str:
    return f"releases/{_key(organization)}/{_key(version)}"


def _deploys(organization: str, version: str) -> str:
    return f"deploys/{_key(organization)}-{_key(version)}"
