"""`pipeline sourcemaps`, as a person uses it."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from support.artifact_bundles import BuiltFile, write_bundle
from support.source_maps import CODE, FILES, MAP, SOURCE, event, source_map

from pipeline.cli.sourcemaps import sourcemaps
from pipeline.model.errors import SettingsError

ID = "f81c208d-9b7d-58f8-b103-e6a3855a8f31"


@pytest.fixture
def build(tmp_path: Path) -> Path:
    folder = tmp_path / "build" / "static"
    folder.mkdir(parents=True)
    (folder / "app.min.js").write_bytes(CODE)
    (folder / "app.min.js.map").write_bytes(MAP)
    (folder / "logo.png").write_bytes(b"x")
    return folder.parent


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(sourcemaps, [str(argument) for argument in arguments])


def listed(store: Path) -> list[dict[str, Any]]:
    result = run("list", "--json", "--artifacts", store)
    assert result.exit_code == 0
    return [json.loads(line) for line in result.output.splitlines()]


def check(tmp_path: Path, store: Path, crashed: dict[str, Any], *more: object) -> Result:
    file = tmp_path / "event.json"
    file.write_text(json.dumps({"event_id": "a" * 32, "timestamp": 1.0, **crashed}))
    rules = Path(__file__).parents[2] / "rules"
    return run("check", file, "--artifacts", store, "--project", 7, "--rules", rules, "--now", "2026-01-01", *more)


def test_a_folder_is_added_listed_checked_and_removed(tmp_path: Path, build: Path, store: Path) -> None:
    store.mkdir()
    assert run("list", "--artifacts", store).output == "no bundles\n"
    result = run("add", build, "--artifacts", store, "--project", 7, "--release", "shop@1", "--dist", "web")
    assert result.exit_code == 0, result.output
    assert "2 files, 0 with debug ids" in result.output
    (bundle,) = listed(store)
    assert (bundle["project_id"], bundle["release"], bundle["dist"], bundle["damage"]) == (7, "shop@1", "web", [])
    assert [(file["url"], file["type"]) for file in bundle["files"]] == [
        ("~/static/app.min.js", "minified_source"),
        ("~/static/app.min.js.map", "source_map"),
    ]
    assert "shop@1" in run("list", "--artifacts", store).output

    result = check(tmp_path, store, event(dist="web"))
    assert result.exit_code == 0, result.output
    assert "is  refuse  https://shop.example/src/app.js:2:3" in result.output
    result = check(tmp_path, store, event(dist="ios"), "--json")
    assert result.exit_code == 1
    assert json.loads(result.output)["action"].startswith("`pipeline sourcemaps add")

    again = run("add", build, "--artifacts", store, "--project", 7, "--release", "shop@1", "--dist", "web")
    assert (again.exit_code, len(listed(store))) == (0, 1), "the same build again is the same bundle"
    assert run("remove", "none.zip", "--artifacts", store, "--project", 7).exit_code == 2
    assert run("remove", "--artifacts", store, "--project", 7).exit_code == 2
    assert run("remove", "--release", "shop@1", "--artifacts", store, "--project", 8).exit_code == 0
    assert len(listed(store)) == 1
    assert run("remove", "--release", "shop@1", "--artifacts", store, "--project", 7).exit_code == 0
    assert listed(store) == []


def test_debug_ids_are_read_from_the_files(build: Path, store: Path) -> None:
    (build / "static" / "app.min.js").write_bytes(CODE + b"//# debugId=" + ID.upper().encode() + b"\n")
    result = run("add", build, "--artifacts", store, "--project", 7)
    assert result.exit_code == 0, result.output
    (bundle,) = listed(store)
    assert [file["debug_id"] for file in bundle["files"]] == [ID, ID], "the map has the id of the file that names it"


def test_what_no_event_could_find_is_refused(build: Path, store: Path, tmp_path: Path) -> None:
    assert run("add", build, "--artifacts", store, "--project", 7).exit_code == 2
    empty = tmp_path / "empty"
    empty.mkdir()
    result = run("add", empty, "--artifacts", store, "--project", 7, "--release", "r")
    assert (result.exit_code, "holds no file" in result.output) == (2, True)
    bundle = write_bundle(tmp_path / "a.zip", FILES)
    assert run("add", bundle, "--artifacts", store, "--project", 7).exit_code == 2
    (tmp_path / "b.zip").write_bytes(b"PK")
    assert run("add", tmp_path / "b.zip", "--artifacts", store, "--project", 7, "--release", "r").exit_code == 2
    with pytest.raises(SettingsError, match="--artifacts"):
        CliRunner().invoke(sourcemaps, ["add", str(bundle), "--project", "7", "--release", "r"], catch_exceptions=False)
    with pytest.raises(SettingsError, match="nonsense"):
        CliRunner().invoke(sourcemaps, ["list", "--artifacts", "nonsense://x"], catch_exceptions=False)
    assert not store.exists()


def test_a_bundle_keeps_what_it_says_unless_told_otherwise(tmp_path: Path, store: Path) -> None:
    bundle = write_bundle(tmp_path / "a.zip", FILES, release="shop@1", dist="web", org="acme")
    bundle.write_bytes(b"SYSB\2\0\0\0" + bundle.read_bytes())
    assert run("add", bundle, "--artifacts", store, "--project", 7).exit_code == 0
    assert run("add", bundle, "--artifacts", store, "--project", 7, "--release", "shop@2").exit_code == 0
    assert {(entry["release"], entry["dist"]) for entry in listed(store)} == {("shop@1", "web"), ("shop@2", "web")}


def test_mistakes_in_a_build_are_named_when_it_is_added(build: Path, store: Path) -> None:
    (build / "lonely.js").write_bytes(b"x()")
    (build / "gone.js").write_bytes(b"x()\n//# sourceMappingURL=gone.js.map")
    (build / "half.js.map").write_bytes(MAP[:50])
    result = run("add", build, "--artifacts", store, "--project", 7, "--release", "r")
    assert result.exit_code == 0
    for warning in (
        "~/lonely.js: no sourceMappingURL",
        "~/gone.js: names the map gone.js.map",
        "~/half.js.map: not a source map",
    ):
        assert warning in result.output


def test_sources_are_added_from_inside_the_folder_only(build: Path, store: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.js").write_bytes(b"secret")
    (build / "src").mkdir()
    (build / "src" / "app.ts").write_text(SOURCE)
    names = [
        "../src/app.ts",
        "../../secret.js",
        "/etc/passwd",
        "file:///etc/passwd",
        "\0",
        "../../build/../secret.js",
        "webpack://x/y",
    ]
    (build / "static" / "app.min.js.map").write_bytes(source_map([(0, 14, 0, 1, 2)], names))
    (build / "static" / "link.js").symlink_to(tmp_path / "secret.js")
    assert run("add", build, "--artifacts", store, "--project", 7, "--release", "shop@1").exit_code == 0
    (bundle,) = listed(store)
    assert [file["url"] for file in bundle["files"] if file["type"] == "source"] == ["~/src/app.ts"]
    with zipfile.ZipFile(next((store / "7").iterdir())) as archive:
        assert all(
            b"secret" not in archive.read(name) for name in archive.namelist() if name != "files/_/_/static/app.min.js.map"
        )
    assert "link.js" not in str(bundle)


@pytest.mark.parametrize("command", [("list",), ("prune",), ("remove", "a.zip", "--project", 7)])
def test_a_store_that_is_not_there_is_said(command: tuple[object, ...], store: Path) -> None:
    result = run(*command, "--artifacts", store)
    assert (result.exit_code, result.output) == (2, f"pipeline: {store}: no such folder\n")


def test_old_bundles_are_pruned(store: Path) -> None:
    for name, age_days in (("old.zip", 100), ("new.zip", 1)):
        path = write_bundle(store / "7" / name, FILES, release="shop@1")
        added = path.stat().st_mtime - age_days * 86_400
        os.utime(path, (added, added))
    dry = run("prune", "--artifacts", store, "--dry-run")
    assert "would remove 7/old.zip" in dry.output
    assert len(listed(store)) == 2
    assert "removed 7/old.zip" in run("prune", "--artifacts", store).output
    assert [bundle["name"] for bundle in listed(store)] == ["new.zip"]
    assert "removed 7/new.zip" in run("prune", "--artifacts", store, "--older-than", 1).output or not listed(store)


def test_damage_is_listed(store: Path) -> None:
    write_bundle(store / "7" / "a.zip", [BuiltFile("~/a.js", b"x")], release="r").write_bytes(b"PK")
    (bundle,) = listed(store)
    assert bundle["damage"] == ["not a zip"]


def test_late_artifacts_resolve_the_same_event(tmp_path: Path, build: Path, store: Path) -> None:
    store.mkdir()

    def explained() -> str:
        result = check(tmp_path, store, event(), "--json")
        outcome: str = json.loads(result.output)["outcome"]
        return outcome

    assert explained() == "unresolved"
    assert run("add", build, "--artifacts", store, "--project", 7, "--release", "shop@1").exit_code == 0
    assert explained() == "resolved"


def test_check_needs_no_rules_folder_and_says_nothing_of_it(
    tmp_path: Path, build: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("add", build, "--artifacts", store, "--project", 7, "--release", "shop@1").exit_code == 0
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    file = tmp_path / "event.json"
    file.write_text(json.dumps({"event_id": "a" * 32, "timestamp": 1.0, **event()}))
    result = run("check", file, "--artifacts", store, "--project", 7, "--now", "2026-01-01")
    assert result.exit_code == 0
    assert "rules" not in result.output


@pytest.mark.parametrize(
    ("prefix", "output"), [("/static", "is taken as ~/static"), ("shop.example", "write https://shop.example")]
)
def test_a_url_prefix_is_understood_or_refused(build: Path, store: Path, prefix: str, output: str) -> None:
    result = run("add", build, "--artifacts", store, "--project", 7, "--release", "shop@1", "--url-prefix", prefix)
    assert output in result.output
    assert result.exit_code == (0 if prefix.startswith("/") else 2)
