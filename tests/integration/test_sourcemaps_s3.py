"""The object store on the wire: what S3's client asks for, and workers on two machines."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.artifact_bundles import write_bundle
from support.fake_s3 import fake_s3
from support.source_maps import FILES, event, frames_of
from support.symbolication import kinds, resolve

from pipeline.settings.schema import ArtifactSettings as Settings
from pipeline.sourcemaps.stores.contract import StoreUnavailableError
from pipeline.wiring.artifacts import open_artifacts, open_store


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    with fake_s3() as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
            monkeypatch.setenv(name, "made-up")
        yield Settings(
            url="s3://bucket/artifacts",
            cache_dir=str(tmp_path / "cache"),
            poll_interval_s=0.0,
            relist_interval_s=1e6,
            store_timeout_s=2.0,
        )


def test_bundles_are_added_listed_read_and_removed(settings: Settings) -> None:
    store = open_store(settings)
    store.add(7, "a.zip", io.BytesIO(b"0123456789" * 100_000))
    (bundle,) = store.bundles(7)
    assert (bundle.name, bundle.size) == ("a.zip", 1_000_000)
    with store.open(7, bundle) as file:
        file.seek(-5, 2)
        assert file.read() == b"56789"
        file.seek(999_990)
        assert file.read(3) == b"012"
    assert list(store.projects()) == [7]
    generation = store.generation(7)
    store.remove(7, "a.zip")
    assert (list(store.bundles(7)), store.generation(7) != generation) == ([], True)


def test_what_one_machine_adds_the_workers_of_others_find(settings: Settings, tmp_path: Path) -> None:
    workers = [open_artifacts(settings) for _ in range(2)]
    for worker in workers:
        crashed = event()
        assert resolve(worker, crashed) == (1, 0)
        assert kinds(crashed) == ["missing_source"]
    with write_bundle(tmp_path / "a.zip", FILES, release="shop@1").open("rb") as bundle:
        open_store(settings).add(7, "a.zip", bundle)
    for worker in workers:
        crashed = event()
        assert resolve(worker, crashed) == (1, 1)
        assert frames_of(crashed)[0]["function"] == "refuse"
    crashed = event()
    assert resolve(workers[0], crashed, project_id=8) == (1, 0)


def test_a_store_that_does_not_answer_is_said_to_be_away(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    crashed = event()
    assert resolve(open_artifacts(settings), crashed) == (1, 0)
    assert crashed["errors"][0]["reason"] == "store_unavailable"
    with pytest.raises(StoreUnavailableError):
        open_store(settings).bundles(7)
