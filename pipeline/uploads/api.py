"""The endpoints of sentry-cli 3.x and 2.58 (which the bundler plugins pin), as one function from request to answer.

    info                  GET   /api/0/
    what may be uploaded  GET   /api/0/organizations/{o}/chunk-upload/
    chunks                POST  the same, as multipart; parts `file` or `file_gzip`, each named by its SHA-1
    a bundle of them      POST  /api/0/organizations/{o}/artifactbundle/assemble/
    releases              POST, GET, PUT, DELETE  /api/0/{organizations/{o},projects/{o}/{p}}/releases/[{version}/]
    deploys               POST, GET  .../releases/{version}/deploys/
    repositories          GET   /api/0/organizations/{o}/repos/: none, commits are answered and not kept
    native debug files    POST  /api/0/projects/{o}/{p}/files/difs/assemble/: state `error`, with what is supported

The organization is not checked, because an installation has one set of projects. Access is checked before this is called.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Callable, Iterable
from typing import Any, BinaryIO
from urllib.parse import unquote

import orjson

from pipeline import __version__
from pipeline.rules.snapshot import Rules
from pipeline.sourcemaps.bundle import DamagedBundleError
from pipeline.sourcemaps.packing import NothingToFindByError, rebind_bundle
from pipeline.sourcemaps.stores.blobs import Blobs
from pipeline.sourcemaps.stores.contract import BUNDLE_SUFFIX, ArtifactStore, StoreUnavailableError
from pipeline.uploads.answers import ApiAnswer, ApiError, ApiRequest
from pipeline.uploads.chunks import CHUNK_BYTES, CHUNKS_PER_REQUEST, MAX_FILE_BYTES, MAX_REQUEST_BYTES, Chunks, check_sha1s
from pipeline.uploads.multipart import parse_multipart
from pipeline.uploads.releases import Releases

_NO_NATIVE = "only source maps (artifact bundles) are supported here: no native debug files, ProGuard or Dart maps"
_OWNER = "(?:organizations/(?P<o>[^/]+)|projects/(?P<po>[^/]+)/[^/]+)"

Groups = dict[str, str]
_Method = Callable[[Groups, ApiRequest], ApiAnswer]


class UploadApi:
    """Serves `/api/0/`. `answer` blocks while it reads and writes the store, so call it in a thread."""

    def __init__(
        self,
        store: ArtifactStore,
        blobs: Blobs,
        rules: Callable[[], Rules],
        now: Callable[[], float],
        *,
        max_file_bytes: int,
        public_url: str | None = None,
    ) -> None:
        self._store = store
        self._rules = rules
        self._max_file_bytes = max_file_bytes
        self._public_url = public_url
        self._chunks = Chunks(blobs)
        self._releases = Releases(blobs, now)
        routes: tuple[tuple[str, dict[str, _Method]], ...] = (
            ("", {"GET": self._info}),
            ("organizations/[^/]+/chunk-upload", {"GET": self._options, "POST": self._upload}),
            ("organizations/[^/]+/artifactbundle/assemble", {"POST": self._assemble}),
            ("organizations/[^/]+/repos", {"GET": self._list_nothing}),
            ("projects/[^/]+/[^/]+/files/difs/assemble", {"POST": self._refuse_native}),
            (f"{_OWNER}/releases", {"GET": self._list_releases, "POST": self._create_release}),
            (
                f"{_OWNER}/releases/(?P<version>[^/]+)",
                {"GET": self._show_release, "PUT": self._change_release, "DELETE": self._delete_release},
            ),
            (f"{_OWNER}/releases/(?P<version>[^/]+)/deploys", {"GET": self._list_deploys, "POST": self._deploy}),
        )
        self._routes = [(re.compile(f"/api/0/{pattern}/?"), methods) for pattern, methods in routes]

    def answer(self, request: ApiRequest) -> ApiAnswer:
        """Answer any request under `/api/0/`."""
        for pattern, methods in self._routes:
            match = pattern.fullmatch(request.path)
            if match is not None:
                method = methods.get(request.method)
                groups = {name: unquote(value or "") for name, value in match.groupdict().items()}
                return ApiError(405, "method not allowed").answer() if method is None else self._call(method, groups, request)
        return ApiError(404, "not found").answer()

    def _call(self, method: _Method, groups: Groups, request: ApiRequest) -> ApiAnswer:
        try:
            return method(groups, request)
        except ApiError as error:
            return error.answer()
        except StoreUnavailableError as error:
            return ApiAnswer(503, {"detail": f"the artifact store does not answer: {error}"})

    def _info(self, _groups: Groups, _request: ApiRequest) -> ApiAnswer:
        return ApiAnswer(200, {"version": __version__, "auth": {"scopes": ["project:releases", "org:ci"]}, "user": None})

    def _list_nothing(self, _groups: Groups, _request: ApiRequest) -> ApiAnswer:
        return ApiAnswer(200, [])

    def _options(self, _groups: Groups, request: ApiRequest) -> ApiAnswer:
        base = self._public_url or f"http://{request.headers.get('host', '')}"
        return ApiAnswer(
            200,
            {
                "url": base.rstrip("/") + request.path,
                "chunkSize": CHUNK_BYTES,
                "chunksPerRequest": CHUNKS_PER_REQUEST,
                "maxFileSize": MAX_FILE_BYTES,
                "maxRequestSize": MAX_REQUEST_BYTES,
                "concurrency": 2,
                "hashAlgorithm": "sha1",
                "compression": ["gzip"],
                "accept": [
                    "release_files",
                    "artifact_bundles",
                    "artifact_bundles_v2",
                    "debug_files",
                    "pdbs",
                    "sources",
                    "proguard",
                ],
            },
        )

    def _upload(self, _groups: Groups, request: ApiRequest) -> ApiAnswer:
        for part in parse_multipart(request.headers.get("content-type", ""), request.body):
            if part.name in {"file", "file_gzip"}:
                [sha1] = check_sha1s([part.file_name])
                self._chunks.keep(sha1, part.content, is_packed=part.name == "file_gzip")
        return ApiAnswer(200, {})

    def _assemble(self, _groups: Groups, request: ApiRequest) -> ApiAnswer:
        """Assemble a bundle from chunks and add it to each project's store. Workers find it within their polling interval."""
        sent = _object(request.body)
        [checksum] = check_sha1s([sent.get("checksum")])
        wanted = check_sha1s(sent.get("chunks"))
        projects = [self._project_id(slug) for slug in _texts(sent, "projects")]
        if not projects:
            raise ApiError(400, "projects: at least one is needed")
        release, dist = (sent.get(name) or None for name in ("version", "dist"))
        if not all(value is None or isinstance(value, str) for value in (release, dist)):
            raise ApiError(400, "version and dist must be texts")
        if dist is not None and release is None:
            raise ApiError(400, "a dist needs a version")
        name = f"{checksum}{_suffix(release, dist)}{BUNDLE_SUFFIX}"
        if all(any(bundle.name == name for bundle in self._store.bundles(project_id)) for project_id in projects):
            return _state("ok")
        missing = self._chunks.missing(wanted)
        if missing:
            return _state("not_found", missing=missing)
        with tempfile.TemporaryFile() as sent_bundle, tempfile.TemporaryFile() as bundle:
            if _write(self._chunks.read(wanted), sent_bundle) != checksum:
                return _state("error", "the assembled chunks do not have the checksum of the request")
            try:
                rebind_bundle(sent_bundle, bundle, release=release, dist=dist, max_file_bytes=self._max_file_bytes)
            except (DamagedBundleError, NothingToFindByError) as error:
                return _state("error", str(error))
            for project_id in projects:
                bundle.seek(0)
                self._store.add(project_id, name, bundle)
        self._chunks.forget(wanted)
        return _state("ok")

    def _refuse_native(self, _groups: Groups, request: ApiRequest) -> ApiAnswer:
        """Answer that a native file is not supported, before the client has uploaded any of it."""
        return ApiAnswer(200, {str(sha1): _state("error", _NO_NATIVE).body | {"dif": None} for sha1 in _object(request.body)})

    def _list_releases(self, groups: Groups, _request: ApiRequest) -> ApiAnswer:
        return self._releases.list(_organization(groups))

    def _create_release(self, groups: Groups, request: ApiRequest) -> ApiAnswer:
        return self._releases.create(_organization(groups), _object(request.body))

    def _show_release(self, groups: Groups, _request: ApiRequest) -> ApiAnswer:
        return self._releases.show(_organization(groups), groups["version"])

    def _change_release(self, groups: Groups, request: ApiRequest) -> ApiAnswer:
        return self._releases.change(_organization(groups), groups["version"], _object(request.body))

    def _delete_release(self, groups: Groups, _request: ApiRequest) -> ApiAnswer:
        return self._releases.delete(_organization(groups), groups["version"])

    def _deploy(self, groups: Groups, request: ApiRequest) -> ApiAnswer:
        return self._releases.deploy(_organization(groups), groups["version"], _object(request.body))

    def _list_deploys(self, groups: Groups, _request: ApiRequest) -> ApiAnswer:
        return self._releases.deploys(_organization(groups), groups["version"])

    def _project_id(self, slug: str) -> int:
        """Return the number of a project that is named by its slug or its number. Raises ApiError (400)."""
        for project_id, rules in self._rules().projects.items():
            if rules.project.slug == slug:
                return project_id
        if slug.isascii() and slug.isdecimal() and len(slug) < 20 and int(slug) > 0:
            return int(slug)
        raise ApiError(400, f"no project {slug[:100]!r}: a project's slug is in its project.toml, or name its number")


def _state(state: str, detail: str | None = None, missing: Iterable[str] = ()) -> ApiAnswer:
    return ApiAnswer(200, {"state": state, "missingChunks": list(missing), "detail": detail})


def _organization(groups: Groups) -> str:
    return groups["o"] or groups["po"]


def _suffix(release: str | None, dist: str | None) -> str:
    """Return a suffix for a bundle's name that differs between releases, for bundles with the same content."""
    if release is None:
        return ""
    return "-" + hashlib.sha1(orjson.dumps([release, dist])).hexdigest()[:8]  # noqa: S324 -- a name, not a proof


def _write(contents: Iterable[bytes], file: BinaryIO) -> str:
    """Write pieces to a file, and return the SHA-1 of all of them."""
    digest = hashlib.sha1()  # noqa: S324 -- the protocol's checksum
    for content in contents:
        digest.update(content)
        file.write(content)
    file.seek(0)
    return digest.hexdigest()


def _object(body: bytes) -> dict[str, Any]:
    try:
        sent = orjson.loads(body)
    except orjson.JSONDecodeError:
        sent = None
    if not isinstance(sent, dict):
        raise ApiError(400, "expected a JSON object")
    return sent


def _texts(sent: dict[str, Any], name: str) -> list[str]:
    values = sent.get(name)
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ApiError(400, f"{name}: a list of texts")
    return values
