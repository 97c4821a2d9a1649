"""One contract, each store."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import obstore.store
import pytest
from obstore.exceptions import GenericError

from pipeline.sourcemaps.stores.contract import ArtifactStore, StoredBundle, StoreUnavailableError
from pipeline.sourcemaps.stores.folder_store import FolderStore
from pipeline.sourcemaps.stores.object_store import ObjectStore, open_object_store, translated

MAKERS: dict[str, Callable[[Path], ArtifactStore]] = {
    "folder": FolderStore,
    "memory": lambda _: ObjectStore(obstore.store.MemoryStore()),
    "local": lambda path: ObjectStore(obstore.store.LocalStore(path)),
}


@pytest.fixture(params=MAKERS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactStore:
    return MAKERS[request.param](tmp_path)


def test_what_is_added_is_listed_read_and_removed(store: ArtifactStore) -> None:
    before = store.generation(7)
    assert store.bundles(7) == () or list(store.bundles(7)) == []
    store.add(7, "a.zip", io.BytesIO(b"0123456789"))
    (bundle,) = store.bundles(7)
    assert (bundle.name, bundle.size) == ("a.zip", 10)
    assert store.generation(7) != before
    with store.open(7, bundle) as file:
        assert file.seek(-3, 2) == 7
        assert file.read() == b"789"
        file.seek(2)
        assert file.read(3) == b"234"
    assert list(store.projects()) == [7]

    after_add = store.generation(7)
    store.remove(7, "a.zip")
    assert list(store.bundles(7)) == []
    assert store.generation(7) != after_add
    store.remove(7, "a.zip")


def test_another_content_is_another_version(store: ArtifactStore) -> None:
    store.add(7, "a.zip", io.BytesIO(b"one"))
    (one,) = store.bundles(7)
    generation = store.generation(7)
    store.add(7, "a.zip", io.BytesIO(b"three"))
    (three,) = store.bundles(7)
    assert one.version != three.version
    assert store.generation(7) != generation


def test_projects_do_not_see_each_other(store: ArtifactStore) -> None:
    store.add(7, "a.zip", io.BytesIO(b"seven"))
    store.add(70, "a.zip", io.BytesIO(b"seventy"))
    (bundle,) = store.bundles(70)
    with store.open(70, bundle) as file:
        assert file.read() == b"seventy"
    assert [bundle.name for bundle in store.bundles(7)] == ["a.zip"]


def test_a_bundle_that_has_gone_is_a_missing_file(store: ArtifactStore) -> None:
    with pytest.raises(FileNotFoundError), store.open(7, StoredBundle("gone.zip", "1", 10, 0.0)) as file:
        file.read()


def test_a_folder_gives_nothing_from_outside(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    project = tmp_path / "store" / "7"
    project.mkdir(parents=True)
    (project / "link.zip").symlink_to(tmp_path / "secret")
    (project / "sub.zip").mkdir()
    (project / "half.zip.part").write_bytes(b"")
    assert list(FolderStore(tmp_path / "store").bundles(7)) == []


def test_a_folder_that_is_none_is_empty_and_one_that_is_locked_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "7").write_bytes(b"")
    assert list(FolderStore(tmp_path).bundles(7)) == []
    assert list(FolderStore(tmp_path / "none").projects()) == []
    if os.geteuid() != 0:
        (tmp_path / "8").mkdir(mode=0)
        with pytest.raises(StoreUnavailableError):
            FolderStore(tmp_path).bundles(8)


def test_an_object_store_is_listed_again_after_a_while() -> None:
    """A bundle that came without `pipeline sourcemaps add` is found too."""
    now = [0.0]
    client = obstore.store.MemoryStore()
    store = ObjectStore(client, relist_s=60.0, clock=lambda: now[0])
    generation = store.generation(7)
    obstore.put(client, "7/a.zip", b"x")
    assert store.generation(7) == generation
    now[0] = 61.0
    assert store.generation(7) != generation


def test_errors_of_the_client_become_the_stores() -> None:
    with pytest.raises(StoreUnavailableError, match="no route"), translated():
        raise GenericError("no route\nDebug source: ...")
    with pytest.raises(ValueError, match="nonsense"):
        open_object_store("nonsense://x", timeout_s=1.0, relist_s=1.0)
    assert isinstance(open_object_store("s3://bucket/prefix", timeout_s=1.0, relist_s=1.0), ObjectStore)
