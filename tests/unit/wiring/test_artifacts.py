from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support.artifact_bundles import write_bundle
from support.source_maps import FILES, event, frames_of
from support.symbolication import resolve

from pipeline.model.errors import SettingsError
from pipeline.settings.schema import ArtifactSettings as Settings
from pipeline.sourcemaps.stores.object_store import ObjectStore
from pipeline.wiring.artifacts import open_artifacts, open_store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_bundle(tmp_path / "7" / "a.zip", FILES, release="shop@1")
    return tmp_path


@pytest.mark.parametrize(("engine", "function"), [("symbolic", "refuse"), ("sourcemap", "a")])
def test_the_engine_is_a_setting(folder: Path, engine: str, function: str) -> None:
    settings = Settings(url=str(folder), engine="symbolic" if engine == "symbolic" else "sourcemap")
    crashed = event()
    assert resolve(open_artifacts(settings), crashed) == (1, 1)
    (frame,) = frames_of(crashed)
    assert (frame["filename"], frame["lineno"], frame["colno"], frame["function"]) == ("../src/app.js", 2, 3, function)


def test_where_symbolic_has_no_wheel_the_other_engine_serves(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "pipeline.sourcemaps.engines.symbolic_engine", raising=False)
    monkeypatch.setitem(sys.modules, "symbolic", None)
    crashed = event()
    assert resolve(open_artifacts(Settings(url=f"file://{folder}")), crashed) == (1, 1)
    assert (frames_of(crashed)[0]["lineno"], frames_of(crashed)[0]["function"]) == (2, "a")


def test_a_url_opens_an_object_store(tmp_path: Path) -> None:
    settings = Settings(url="memory:///", cache_dir=str(tmp_path / "cache"))
    assert isinstance(open_store(settings), ObjectStore)
    crashed = event()
    assert resolve(open_artifacts(settings), crashed) == (1, 0)
    assert (tmp_path / "cache" / "objects").is_dir()


def test_a_cache_that_cannot_be_made_is_done_without(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "cache").write_bytes(b"")
    assert resolve(open_artifacts(Settings(url="memory:///", cache_dir=str(tmp_path / "cache"))), event()) == (1, 0)
    assert "no disk cache" in caplog.text


def test_a_folder_that_is_not_there_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    open_artifacts(Settings(url=str(tmp_path / "none")))
    assert "no such folder" in caplog.text


@pytest.mark.parametrize("url", [None, "", "nonsense://x"])
def test_settings_that_name_no_store_are_refused(url: str | None) -> None:
    with pytest.raises(SettingsError):
        open_artifacts(Settings(url=url))
