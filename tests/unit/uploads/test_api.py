from __future__ import annotations

import gzip
import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from support.artifact_bundles import BuiltFile, write_bundle
from support.source_maps import CODE, MAP

from pipeline.rules.folder import load_rules
from pipeline.sourcemaps.stores.blobs import FolderBlobs
from pipeline.sourcemaps.stores.folder_store import FolderStore
from pipeline.uploads.answers import ApiAnswer, ApiRequest
from pipeline.uploads.api import UploadApi
from pipeline.uploads.chunks import CHUNK_BYTES

ASSEMBLE = "/api/0/organizations/acme/artifactbundle/assemble/"
CHUNKS = "/api/0/organizations/acme/chunk-upload/"


class Client:
    """What sentry-cli does, without its files."""

    def __init__(self, folder: Path) -> None:
        rules = folder / "rules"
        (rules / "default").mkdir(parents=True)
        (rules / "default" / "grouping.toml").write_text('enhancement_base = "none"\nbuiltin_fingerprints = false\n')
        (rules / "projects" / "7").mkdir(parents=True)
        (rules / "projects" / "7" / "project.toml").write_text('slug = "shop"\n')
        loaded = load_rules(rules)
        self.store = FolderStore(folder / "artifacts")
        self.blobs = FolderBlobs(folder / "artifacts")
        self.api = UploadApi(self.store, self.blobs, lambda: loaded, lambda: 1_700_000_000.0, max_file_bytes=1_000_000)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> ApiAnswer:
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.api.answer(ApiRequest(method, path, {"host": "127.0.0.1:3000", **headers}, sent))

    def upload(self, *parts: tuple[str, str, bytes]) -> ApiAnswer:
        body = b"".join(
            b'--xx\r\nContent-Disposition: form-data; name="%b"; filename="%b"\r\n\r\n%b\r\n'
            % (name.encode(), file.encode(), content)
            for name, file, content in parts
        )
        return self.ask("POST", CHUNKS, body + b"--xx--\r\n", **{"content-type": "multipart/form-data; boundary=xx"})


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return Client(tmp_path)


def sha1(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()  # noqa: S324 -- the protocol's name for a chunk


@pytest.fixture
def bundle(tmp_path: Path) -> bytes:
    path = tmp_path / "bundle.zip"
    files = [BuiltFile("~/app.min.js", CODE), BuiltFile("~/app.min.js.map", MAP, "source_map")]
    write_bundle(path, files, release="shop@1")
    return b"SYSB" + (2).to_bytes(4, "little") + path.read_bytes()


def test_a_bundle_is_uploaded_in_chunks_and_assembled(client: Client, bundle: bytes) -> None:
    half = len(bundle) // 2
    chunks = [bundle[:half], bundle[half:]]
    request = {
        "checksum": sha1(bundle),
        "chunks": [sha1(chunk) for chunk in chunks],
        "projects": ["shop", "8"],
        "version": "shop@2",
    }
    assert client.ask("POST", ASSEMBLE, request).body == {
        "state": "not_found",
        "missingChunks": [sha1(chunk) for chunk in chunks],
        "detail": None,
    }
    assert client.upload(("file", sha1(chunks[0]), chunks[0])).status == 200
    assert client.ask("POST", ASSEMBLE, request).body["missingChunks"] == [sha1(chunks[1])]
    assert client.upload(("file_gzip", sha1(chunks[1]), gzip.compress(chunks[1]))).status == 200
    assert client.ask("POST", ASSEMBLE, request).body["state"] == "ok"
    for project_id in (7, 8):
        [stored] = client.store.bundles(project_id)
        with client.store.open(project_id, stored) as file:
            manifest = json.loads(zipfile.ZipFile(file).read("manifest.json"))
        assert manifest["release"] == "shop@2"
        assert len(manifest["files"]) == 2
    assert list(client.blobs.names("chunks")) == []
    assert client.ask("POST", ASSEMBLE, request).body == {"state": "ok", "missingChunks": [], "detail": None}


def test_another_replica_assembles_what_one_received(client: Client, bundle: bytes, tmp_path: Path) -> None:
    client.upload(("file", sha1(bundle), bundle))
    (tmp_path / "other").mkdir()
    other = Client(tmp_path / "other")
    other.api._chunks._blobs = FolderBlobs(tmp_path / "artifacts")
    assert (
        other.ask("POST", ASSEMBLE, {"checksum": sha1(bundle), "chunks": [sha1(bundle)], "projects": ["7"]}).body["state"] == "ok"
    )


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"checksum": "a" * 40}, "checksum"),
        ({"chunks": []}, "checksum"),
    ],
)
def test_chunks_that_make_another_file_end_in_an_error(
    client: Client, bundle: bytes, change: dict[str, Any], detail: str
) -> None:
    client.upload(("file", sha1(bundle), bundle))
    request = {"checksum": sha1(bundle), "chunks": [sha1(bundle)], "projects": ["shop"]} | change
    answer = client.ask("POST", ASSEMBLE, request).body
    assert answer["state"] == "error"
    assert detail in answer["detail"]


def test_garbage_ends_in_an_error_with_its_reason(client: Client) -> None:
    for garbage in (b"no zip", empty_zip()):
        client.upload(("file", sha1(garbage), garbage))
        answer = client.ask("POST", ASSEMBLE, {"checksum": sha1(garbage), "chunks": [sha1(garbage)], "projects": ["shop"]}).body
        assert (answer["state"], bool(answer["detail"])) == ("error", True)
    assert client.store.bundles(7) == ()


def empty_zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w"):
        pass
    return file.getvalue()


@pytest.mark.parametrize(
    "request_",
    [
        {"checksum": "x", "chunks": [], "projects": ["shop"]},
        {"checksum": "a" * 40, "chunks": ["../../etc"], "projects": ["shop"]},
        {"checksum": "a" * 40, "chunks": [], "projects": []},
        {"checksum": "a" * 40, "chunks": [], "projects": ["unknown"]},
        {"checksum": "a" * 40, "chunks": [], "projects": ["shop"], "dist": "1"},
        {"checksum": "a" * 40, "chunks": [], "projects": ["shop"], "version": 5},
        {"checksum": "a" * 40, "chunks": ["a" * 40] * 300, "projects": ["shop"]},
        [],
        None,
    ],
)
def test_requests_that_cannot_be_done(client: Client, request_: Any) -> None:
    assert client.ask("POST", ASSEMBLE, request_).status == 400


@pytest.mark.parametrize(
    ("name", "file", "content"),
    [
        ("file", "a" * 40, b"other content"),
        ("file", "../x", b"x"),
        ("file_gzip", sha1(b"x"), b"x"),
        ("file_gzip", sha1(b"x"), gzip.compress(b"x")[:-4]),
        ("file_gzip", sha1(bytes(CHUNK_BYTES + 1)), gzip.compress(bytes(CHUNK_BYTES + 1))),
    ],
)
def test_chunks_that_are_not_kept(client: Client, name: str, file: str, content: bytes) -> None:
    assert client.upload((name, file, content)).status == 400
    assert list(client.blobs.names("chunks")) == []


def test_a_body_that_is_no_form_is_refused(client: Client) -> None:
    assert client.ask("POST", CHUNKS, b"x", **{"content-type": "text/plain"}).status == 400
    assert client.ask("POST", CHUNKS, b"--xx\r\nhalf", **{"content-type": "multipart/form-data; boundary=xx"}).status == 400


def test_the_options_name_where_to_upload(client: Client) -> None:
    options = client.ask("GET", CHUNKS).body
    assert options["url"] == f"http://127.0.0.1:3000{CHUNKS}"
    assert {"chunkSize", "chunksPerRequest", "maxRequestSize", "concurrency"} < options.keys()
    assert options["hashAlgorithm"] == "sha1"
    assert {"artifact_bundles", "artifact_bundles_v2"} <= set(options["accept"])


@pytest.mark.parametrize("base", ["/api/0/organizations/acme", "/api/0/projects/acme/shop"])
def test_releases_and_deploys_are_kept(client: Client, base: str) -> None:
    assert client.ask("POST", f"{base}/releases/", {"version": "shop/web@1", "projects": ["shop"]}).status == 201
    assert client.ask("POST", f"{base}/releases/", {"version": "shop/web@1"}).status == 208
    version = f"{base}/releases/shop%2Fweb@1/"
    assert client.ask("PUT", version, {"dateReleased": "2026-01-01T00:00:00Z", "refs": [{"repository": "a/b"}]}).status == 200
    shown = client.ask("GET", version).body
    assert (shown["version"], shown["dateReleased"], shown["projects"][0]["slug"]) == (
        "shop/web@1",
        "2026-01-01T00:00:00Z",
        "shop",
    )
    assert client.ask("POST", f"{version}deploys/", {"environment": "prod"}).status == 201
    assert [deploy["environment"] for deploy in client.ask("GET", f"{version}deploys/").body] == ["prod"]
    assert [release["version"] for release in client.ask("GET", f"{base}/releases/").body] == ["shop/web@1"]
    assert client.ask("DELETE", version).status == 204
    assert client.ask("GET", version).status == 404
    assert client.ask("GET", f"{version}deploys/").body == []
    assert client.ask("POST", f"{base}/releases/", {"version": ""}).status == 400


def test_native_debug_files_are_refused_by_name(client: Client) -> None:
    path = "/api/0/projects/acme/shop/files/difs/assemble/"
    answer = client.ask("POST", path, {"a" * 40: {"name": "lib.so", "chunks": []}}).body["a" * 40]
    assert answer["state"] == "error"
    assert "source maps" in answer["detail"]


def test_other_paths_and_methods(client: Client) -> None:
    assert client.ask("GET", "/api/0/").body["user"] is None
    assert client.ask("GET", "/api/0/organizations/acme/repos/").body == []
    assert client.ask("GET", "/api/0/nothing/").status == 404
    assert client.ask("DELETE", CHUNKS).status == 405
