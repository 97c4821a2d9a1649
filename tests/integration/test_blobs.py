"""What lies beside the bundles of an artifact store: a folder and an object store keep it alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.fake_s3 import fake_s3

from pipeline.settings.schema import ArtifactSettings
from pipeline.sourcemaps.stores.blobs import Blobs
from pipeline.sourcemaps.stores.contract import StoreUnavailableError
from pipeline.wiring.artifacts import open_blobs


@pytest.fixture(params=["folder", "object store"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Blobs]:
    if request.param == "folder":
        yield open_blobs(ArtifactSettings(url=str(tmp_path)))
        return
    with fake_s3() as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
            monkeypatch.setenv(name, "made-up")
        yield open_blobs(ArtifactSettings(url="s3://bucket/artifacts", store_timeout_s=2.0))


def test_what_is_put_is_found_again(blobs: Blobs) -> None:
    assert blobs.get("chunks/a") is None
    blobs.put("chunks/a", b"one")
    blobs.put("chunks/b", b"")
    blobs.put("releases/1/shop", b"three")
    assert blobs.get("chunks/a") == b"one"
    assert blobs.get("chunks/b") == b""
    assert blobs.existing(["chunks/a", "chunks/b", "chunks/c"]) == {"chunks/a", "chunks/b"}
    assert list(blobs.names("chunks")) == ["chunks/a", "chunks/b"]
    assert list(blobs.names("nothing")) == []
    blobs.put("chunks/a", b"another")
    assert blobs.get("chunks/a") == b"another"


def test_what_is_removed_is_gone(blobs: Blobs) -> None:
    blobs.put("chunks/a", b"one")
    blobs.remove("chunks/a")
    blobs.remove("chunks/a")
    assert blobs.get("chunks/a") is None
    assert list(blobs.names("chunks")) == []


def test_only_what_is_old_is_pruned(blobs: Blobs) -> None:
    blobs.put("chunks/a", b"one")
    blobs.put("other/b", b"two")
    blobs.prune("chunks", 1e10)
    assert list(blobs.names("chunks")) == ["chunks/a"]
    blobs.prune("chunks", -1.0)
    assert list(blobs.names("chunks")) == []
    assert list(blobs.names("other")) == ["other/b"]


def test_a_store_that_is_away_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.setenv(name, "made-up")
    blobs = open_blobs(ArtifactSettings(url="s3://bucket/artifacts", store_timeout_s=1.0))
    with pytest.raises(StoreUnavailableError):
        blobs.put("chunks/a", b"one")
