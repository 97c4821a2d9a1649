from __future__ import annotations

import gc
import weakref
from collections import Counter
from pathlib import Path
from typing import Any, BinaryIO

import obstore.store
import pytest
from support.artifact_bundles import BuiltFile, write_bundle
from support.source_maps import CODE, FILES, MAP, URL, event, frames_of, source_map
from support.symbolication import kinds, resolve

from pipeline.sourcemaps.artifacts import MAX_RELEASES, Artifacts, CacheLimits, ReleaseFrames
from pipeline.sourcemaps.disk_cache import DiskCache
from pipeline.sourcemaps.engines.contract import ParsedMap
from pipeline.sourcemaps.engines.symbolic_engine import SymbolicEngine
from pipeline.sourcemaps.files import ScrapedFile
from pipeline.sourcemaps.resolve import FrameCounts
from pipeline.sourcemaps.stores.contract import StoredBundle, StoreUnavailableError
from pipeline.sourcemaps.stores.folder_store import FolderStore
from pipeline.sourcemaps.stores.object_store import ObjectStore


class CountingEngine(SymbolicEngine):
    def __init__(self) -> None:
        super().__init__()
        self.parsed = 0

    def parse(self, minified: bytes, source_map: bytes) -> Any:
        self.parsed += 1
        return super().parse(minified, source_map)


class CountingStore(FolderStore):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.calls: Counter[str] = Counter()
        self.is_away = False

    def generation(self, project_id: int) -> str:
        self._called("generation")
        return super().generation(project_id)

    def open(self, project_id: int, bundle: StoredBundle) -> BinaryIO:
        self._called("open")
        return super().open(project_id, bundle)

    def _called(self, name: str) -> None:
        self.calls[name] += 1
        if self.is_away:
            raise StoreUnavailableError("away")


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_map_is_parsed_once_and_a_bundle_opened_once_a_file(tmp_path: Path, clock: Clock) -> None:
    write_bundle(tmp_path / "7" / "a.zip", FILES, release="shop@1")
    engine, store = CountingEngine(), CountingStore(tmp_path)
    artifacts = Artifacts(store, engine, clock=clock)
    for _ in range(3):
        assert resolve(artifacts, event()) == (1, 1)
    assert engine.parsed == 1
    assert store.calls == {"generation": 1, "open": 3}, "the manifest, the code, the map"
    assert (artifacts.hits, artifacts.misses) == (2, 1)


def test_a_bundle_that_arrives_is_found_within_the_poll_interval_also_after_a_miss(tmp_path: Path, clock: Clock) -> None:
    artifacts = Artifacts(FolderStore(tmp_path), SymbolicEngine(), limits=CacheLimits(poll_interval_s=5.0), clock=clock)
    for _ in range(3):
        assert resolve(artifacts, event()) == (1, 0)
    write_bundle(tmp_path / "7" / "a.zip", FILES, release="shop@1")
    clock.now += 4.9
    assert resolve(artifacts, event()) == (1, 0)
    clock.now += 0.2
    assert resolve(artifacts, event()) == (1, 1)
    (tmp_path / "7" / "a.zip").unlink()
    clock.now += 5.1
    assert resolve(artifacts, event()) == (1, 0), "a bundle that is removed is forgotten as soon"


def test_an_object_store_is_polled_by_its_generation(tmp_path: Path, clock: Clock) -> None:
    client = obstore.store.MemoryStore()
    store = ObjectStore(client, relist_s=1_000_000.0, clock=clock)
    artifacts = Artifacts(store, SymbolicEngine(), disk=DiskCache(tmp_path / "cache", 1_000_000), clock=clock)
    assert resolve(artifacts, event()) == (1, 0)
    with write_bundle(tmp_path / "a.zip", FILES, release="shop@1").open("rb") as bundle:
        store.add(7, "a.zip", bundle)
    clock.now += 5.1
    assert resolve(artifacts, event()) == (1, 1)
    obstore.delete(client, "7/a.zip")
    assert resolve(artifacts, event()) == (1, 1), "what was read stays usable until the store says otherwise"


def test_a_newer_bundle_of_the_same_release_wins_while_running(tmp_path: Path, clock: Clock) -> None:
    artifacts = Artifacts(FolderStore(tmp_path), SymbolicEngine(), clock=clock)
    write_bundle(tmp_path / "7" / "a.zip", FILES, release="shop@1")
    resolve(artifacts, event())
    other = source_map([(0, 14, 0, 9, 2)], ["../src/newer.js"], ["x\n" * 20])
    write_bundle(tmp_path / "7" / "b.zip", [FILES[0], BuiltFile(FILES[1].url, other, "source_map")], release="shop@1")
    clock.now += 6
    later = event()
    resolve(artifacts, later)
    assert frames_of(later)[0]["filename"] == "../src/newer.js"


def test_two_projects_with_the_same_url_never_see_each_others_artifacts(tmp_path: Path) -> None:
    """What is remembered is keyed by content, what is looked up by project."""
    other = source_map([(0, 14, 0, 9, 2)], ["../src/secret.js"], ["secret\n" * 20])
    write_bundle(tmp_path / "7" / "a.zip", FILES, release="shop@1")
    write_bundle(tmp_path / "8" / "a.zip", [FILES[0], BuiltFile(FILES[1].url, other, "source_map")], release="shop@1")
    artifacts = Artifacts(FolderStore(tmp_path), SymbolicEngine())
    for project_id, filename in ((7, "../src/app.js"), (8, "../src/secret.js"), (7, "../src/app.js")):
        crashed = event()
        resolve(artifacts, crashed, project_id)
        assert frames_of(crashed)[0]["filename"] == filename
    crashed = event()
    resolve(artifacts, crashed, 9)
    assert kinds(crashed) == ["missing_source"]


def test_maps_are_let_go_of_when_they_take_too_much(tmp_path: Path) -> None:
    files = []
    for number in range(20):
        text = source_map([(0, 14, 0, 1, 2)], [f"{number}.js"], ["x\n" * 20_000])
        code = CODE.replace(b"app.min.js.map", b"%d.map" % number)
        files += [BuiltFile(f"~/{number}.js", code), BuiltFile(f"~/{number}.map", text, "source_map")]
    write_bundle(tmp_path / "7" / "a.zip", files, release="shop@1")
    engine = CountingEngine()
    artifacts = Artifacts(FolderStore(tmp_path), engine, limits=CacheLimits(memory_bytes=1_500_000))
    for _ in range(2):
        for number in range(20):
            crashed = event({"abs_path": f"https://h/{number}.js", "lineno": 1, "colno": 15})
            assert resolve(artifacts, crashed) == (1, 1)
            assert frames_of(crashed)[0]["filename"] == f"{number}.js"
    assert engine.parsed == 40
    assert artifacts._maps._parsed.held_bytes <= 1_500_000 * 3 // 4
    assert artifacts._files._texts.held_bytes <= 1_500_000 // 4
    assert all(kept.module.map is None and kept.module.minified is None for kept in artifacts._modules.values())


def test_a_map_that_is_let_go_of_is_gone_at_once(tmp_path: Path) -> None:
    """Not when the garbage collector comes by: that may be gigabytes later."""
    write_bundle(tmp_path / "7" / "a.zip", FILES, release="shop@1")
    artifacts = Artifacts(FolderStore(tmp_path), SymbolicEngine())
    resolve(artifacts, event())
    ((parsed, _),) = artifacts._maps._parsed._entries.values()
    assert parsed.map is not None
    gone = weakref.ref(parsed.map)
    del parsed
    gc.disable()
    try:
        artifacts._maps._parsed._entries.clear()
        assert gone() is None
    finally:
        gc.enable()


def test_a_map_over_the_limit_is_named_and_its_frame_stays(tmp_path: Path) -> None:
    large = source_map([(0, 14, 0, 1, 2)], ["a.js"], ["x" * 200_000])
    write_bundle(tmp_path / "7" / "a.zip", [FILES[0], BuiltFile(FILES[1].url, large, "source_map")], release="shop@1")
    crashed = event()
    artifacts = Artifacts(FolderStore(tmp_path), SymbolicEngine(), limits=CacheLimits(max_file_bytes=100_000))
    assert resolve(artifacts, crashed) == (1, 0)
    assert crashed["errors"] == [
        {"type": "js_invalid_source", "symbolicator_type": "malformed_sourcemap", "url": f"{URL}.map", "reason": "too_large"}
    ]
    assert frames_of(crashed)[0]["context_line"].startswith("function a(b)"), "the built file is there all the same"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b"<!DOCTYPE html><html></html>",
        MAP[: len(MAP) // 2],
        MAP.replace(b"KACd", b"KA!d"),
        source_map([(0, 14, 5, 1, 2)], ["a.js"]),
        b'{"version":3,"sources":["a"],"names":[],"mappings":"gggggggggggggggggggB"}',
        b'{"sections":' * 5_000,
        b'{"version":3,"sections":[' + b'{"offset":{"line":0,"column":0},"map":{"version":3,"sections":[' * 2_000,
        CODE,
    ],
)
def test_what_is_no_map_is_named_and_the_frame_stays(tmp_path: Path, content: bytes) -> None:
    write_bundle(tmp_path / "7" / "a.zip", [FILES[0], BuiltFile(FILES[1].url, content, "source_map")], release="shop@1")
    artifacts = Artifacts(FolderStore(tmp_path), SymbolicEngine())
    for _ in range(2):
        crashed = event()
        assert resolve(artifacts, crashed) == (1, 0)
        assert crashed["errors"] == [
            {"type": "js_invalid_source", "symbolicator_type": "malformed_sourcemap", "url": f"{URL}.map"}
        ]
        assert frames_of(crashed)[0]["lineno"] == 1


def test_a_file_that_names_itself_as_its_map_ends(tmp_path: Path) -> None:
    code = CODE.replace(b"app.min.js.map", b"app.min.js")
    write_bundle(tmp_path / "7" / "a.zip", [BuiltFile(FILES[0].url, code)], release="shop@1")
    crashed = event()
    assert resolve(Artifacts(FolderStore(tmp_path), SymbolicEngine()), crashed) == (1, 0)
    assert kinds(crashed) == ["malformed_sourcemap"]


def test_sources_that_name_the_map_and_the_code_end(tmp_path: Path) -> None:
    cycle = source_map([(0, 14, 0, 0, 2)], ["app.min.js.map", "app.min.js"])
    write_bundle(tmp_path / "7" / "a.zip", [FILES[0], BuiltFile(FILES[1].url, cycle, "source_map")], release="shop@1")
    crashed = event()
    assert resolve(Artifacts(FolderStore(tmp_path), SymbolicEngine()), crashed) == (1, 1)
    assert frames_of(crashed)[0]["context_line"].startswith('{"version": 3')


def test_a_store_that_is_away_fails_frames_until_it_is_back(tmp_path: Path, clock: Clock) -> None:
    write_bundle(tmp_path / "7" / "a.zip", FILES, release="shop@1")
    store = CountingStore(tmp_path)
    artifacts = Artifacts(store, SymbolicEngine(), clock=clock)
    store.is_away = True
    crashed = event()
    assert resolve(artifacts, crashed) == (1, 0)
    assert crashed["errors"][0]["reason"] == "store_unavailable"
    calls = store.calls.total()
    resolve(artifacts, event())
    assert store.calls.total() == calls, "it is not asked again at once"
    store.is_away = False
    clock.now += 6
    assert resolve(artifacts, event()) == (1, 1)


def test_a_store_that_goes_away_after_it_was_listed_is_tried_again(tmp_path: Path, clock: Clock) -> None:
    write_bundle(tmp_path / "7" / "a.zip", FILES, release="shop@1")
    store = CountingStore(tmp_path)
    artifacts = Artifacts(store, SymbolicEngine(), clock=clock, limits=CacheLimits(retry_failed_s=60.0))
    artifacts.index(7)
    store.is_away = True
    crashed = event()
    assert resolve(artifacts, crashed) == (1, 0)
    assert crashed["errors"][0]["reason"] == "store_unavailable"
    store.is_away = False
    clock.now += 61
    assert resolve(artifacts, event()) == (1, 1)


def test_files_of_a_distant_store_are_kept_on_the_disk(tmp_path: Path) -> None:
    write_bundle(tmp_path / "store" / "7" / "a.zip", FILES, release="shop@1")
    opened = []
    for _ in range(2):
        store = CountingStore(tmp_path / "store")
        artifacts = Artifacts(store, SymbolicEngine(), disk=DiskCache(tmp_path / "cache", 1_000_000))
        assert resolve(artifacts, event()) == (1, 1)
        opened.append(store.calls["open"])
    assert opened == [3, 1], "another worker reads the manifest alone"


def test_frames_are_counted_per_release(tmp_path: Path) -> None:
    write_bundle(tmp_path / "7" / "a.zip", FILES, release="shop@1")
    artifacts = Artifacts(FolderStore(tmp_path), SymbolicEngine())
    for release in ("shop@1", "shop@1", "shop@2"):
        crashed = event(release=release)
        artifacts.count(7, release, resolve(artifacts, crashed))
    share = {key: count for key, count in artifacts.frame_counts().items() if count}
    assert share == {ReleaseFrames(7, "shop@1", is_resolved=True): 2, ReleaseFrames(7, "shop@2", is_resolved=False): 1}


def test_made_up_releases_do_not_hide_those_that_come_after_them(tmp_path: Path) -> None:
    artifacts = Artifacts(FolderStore(tmp_path), SymbolicEngine())
    artifacts.count(7, "shop@1", FrameCounts(looked_up=3, resolved=1))
    for number in range(MAX_RELEASES * 3):
        artifacts.count(7, f"made up {number}", FrameCounts(looked_up=1, resolved=0))
        if number % 100 == 0:
            artifacts.count(7, "shop@1", FrameCounts(looked_up=1, resolved=1))
    artifacts.count(7, "shop@2", FrameCounts(looked_up=2, resolved=2))
    counts = artifacts.frame_counts()
    assert len(counts) == 2 * MAX_RELEASES
    assert counts[ReleaseFrames(7, "shop@1", is_resolved=True)] == 1 + MAX_RELEASES * 3 // 100
    assert counts[ReleaseFrames(7, "shop@2", is_resolved=True)] == 2


class FakeScraper:
    def __init__(self, **files: bytes) -> None:
        self.files = {f"https://h/{name}": content for name, content in files.items()}

    def fetch(self, url: str) -> ScrapedFile:
        content = self.files.get(url)
        return ScrapedFile(content) if content is not None else ScrapedFile(None, "not_found")


def test_missing_files_are_fetched_where_that_is_on(tmp_path: Path, clock: Clock) -> None:
    scraper = FakeScraper(app=CODE)
    artifacts = Artifacts(FolderStore(tmp_path), SymbolicEngine(), scraper=scraper, clock=clock)
    crashed = event({"abs_path": "https://h/app", "lineno": 1, "colno": 15}, release=None)
    resolve(artifacts, crashed)
    assert kinds(crashed) == ["missing_sourcemap"]
    scraper.files["https://h/app.min.js.map"] = MAP
    clock.now += 61
    resolve(artifacts, crashed)
    assert frames_of(crashed)[0]["data"]["resolved_with"] == "scraping"
    assert [attempt["status"] for attempt in crashed["scraping_attempts"]] == ["success", "success"]


def test_positions_are_remembered() -> None:
    parsed: ParsedMap = SymbolicEngine().parse(CODE, MAP)
    assert parsed.locate(1, 15) is parsed.locate(1, 15)
    assert parsed.locate(9, 9) is None
