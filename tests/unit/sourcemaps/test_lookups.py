"""Files that are meant although they are named another way: by the browser, by the build, or by the system it ran on."""

from __future__ import annotations

import codecs
import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from support.artifact_bundles import BuiltFile, write_bundle
from support.source_maps import CODE, MAP, SOURCE, URL, event, frames_of, source_map
from support.symbolication import kinds, resolve

from pipeline.sourcemaps.artifacts import Artifacts
from pipeline.sourcemaps.engines.contract import Engine
from pipeline.sourcemaps.engines.ignore_list import find_ignored_sources
from pipeline.sourcemaps.engines.sourcemap_engine import SourcemapEngine
from pipeline.sourcemaps.engines.symbolic_engine import SymbolicEngine
from pipeline.sourcemaps.frame_selection import find_debug_id
from pipeline.sourcemaps.stores.folder_store import FolderStore
from pipeline.sourcemaps.urls import join_source, lookup_urls, path_in_program

ID, OTHER_ID = "3f2c1b0a-9d8e-4f7a-8b6c-5d4e3f2a1b0c", "5b5b5b5b-1111-4222-8333-444455556666"


def code(reference: str) -> bytes:
    return CODE.replace(b"app.min.js.map", reference.encode())


def resolved(tmp_path: Path, files: list[BuiltFile], url: str = URL, engine: Engine | None = None, **more: Any) -> Any:
    write_bundle(tmp_path / "7" / "a.zip", files, release="shop@1")
    crashed = event({"abs_path": url, "function": "a", "lineno": 1, "colno": 15}, **more)
    resolve(Artifacts(FolderStore(tmp_path), engine or SymbolicEngine()), crashed)
    return crashed


@pytest.mark.parametrize(
    ("url", "uploaded", "reference"),
    [
        ("https://h/pages/%5Bid%5D.js", "~/pages/[id].js", "[id].js.map"),
        ("https://h/pages/%5bid%5d.js", "https://h/pages/%5Bid%5D.js", "%5Bid%5D.js.map"),
        ("https://h/my%20cart.js?v=1", "~/my cart.js", "my%20cart.js.map"),
        ("https://h/my cart.js", "~/my%20cart.js", "my%20cart.js.map"),
        ("https://h/caf%C3%A9.js", "~/café.js", "caf%C3%A9.js.map"),
        ("https://h/café.js", "~/cafe\u0301.js", "cafe\u0301.js.map"),
        ("https://h/100%2525.js", "~/100%25.js", "100%2525.js.map"),
        ("https://h/(app)/%40shop/$id.js", "~/(app)/@shop/$id.js", "$id.js.map"),
        ("file:///C:/Users/jane/AppData/Local/shop/resources/app.asar/dist/a.js", "~/dist/a.js", "a.js.map"),
        ("file:///Applications/Shop.app/Contents/Resources/app.asar/dist/a.js", "app:///dist/a.js", "a.js.map"),
        ("file:///var/containers/Bundle/Application/0F9B/Shop.app/www/a.js", "~/www/a.js", "a.js.map"),
    ],
)
def test_a_file_is_found_under_the_name_that_it_has(tmp_path: Path, url: str, uploaded: str, reference: str) -> None:
    files = [BuiltFile(uploaded, code(reference)), BuiltFile(f"{uploaded}.map", MAP, "source_map")]
    crashed = resolved(tmp_path, files, url)
    assert kinds(crashed) == []
    assert frames_of(crashed)[0]["function"] == "refuse"


def test_the_exact_name_goes_first() -> None:
    assert lookup_urls("https://h/a%20b.js") == ["https://h/a%20b.js", "~/a%20b.js", "https://h/a b.js", "~/a b.js"]
    assert lookup_urls("https://h/a%FFb.js") == ["https://h/a%FFb.js", "~/a%FFb.js"], "no UTF-8"
    assert path_in_program("https://h/app.asar/dist/a.js") is None, "a server's folder"
    assert path_in_program("C:\\shop\\resources\\app\\dist\\a.js") == "dist/a.js"


@pytest.mark.parametrize(
    "reference",
    [
        "https://maps.internal/path/app.min.js.map",
        "/maps/app.min.js.map",
        "../maps/app.min.js.map",
        "..\\maps\\app.min.js.map",
        "https://maps.internal/0123",
        "data:application/json;base64,%%%",
    ],
)
def test_a_map_that_is_not_where_the_file_says_is_looked_for_beside_it(tmp_path: Path, reference: str) -> None:
    beside = BuiltFile("~/static/app.min.js.map", MAP, "source_map")
    crashed = resolved(tmp_path, [BuiltFile("~/static/app.min.js", code(reference)), beside])
    assert kinds(crashed) == []
    (frame,) = frames_of(crashed)
    assert (frame["abs_path"], frame["data"]["sourcemap"]) == ("https://shop.example/src/app.js", f"{URL}.map")


def test_the_map_that_the_file_names_goes_first(tmp_path: Path) -> None:
    other = source_map([(0, 14, 0, 1, 2)], ["../src/other.js"], [SOURCE])
    files = [
        BuiltFile("~/static/app.min.js", code("/maps/app.min.js.map")),
        BuiltFile("~/maps/app.min.js.map", MAP, "source_map"),
        BuiltFile("~/static/app.min.js.map", other, "source_map"),
    ]
    assert frames_of(resolved(tmp_path, files))[0]["filename"] == "../src/app.js"


def test_a_data_url_that_cannot_be_decoded_costs_only_the_map(tmp_path: Path) -> None:
    crashed = resolved(tmp_path, [BuiltFile("~/static/app.min.js", code("data:application/json;base64,%%%"))])
    assert kinds(crashed) == ["malformed_sourcemap"]
    assert "context_line" in crashed["exception"]["values"][0]["raw_stacktrace"]["frames"][0]


@pytest.mark.parametrize("engine", [SymbolicEngine(), SourcemapEngine()])
@pytest.mark.parametrize(
    "content",
    [
        codecs.BOM_UTF8 + MAP,
        codecs.BOM_UTF8 + b")]}'\n" + MAP,
        codecs.BOM_UTF16_LE + MAP.decode().encode("utf-16-le"),
        codecs.BOM_UTF16_BE + MAP.decode().encode("utf-16-be"),
    ],
)
def test_a_map_may_begin_with_a_byte_order_mark(tmp_path: Path, content: bytes, engine: Engine) -> None:
    files = [BuiltFile("~/static/app.min.js", CODE), BuiltFile("~/static/app.min.js.map", content, "source_map")]
    assert frames_of(resolved(tmp_path, files, engine=engine))[0]["filename"] == "../src/app.js"


def test_a_map_in_a_data_url_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    inline = "data:application/json;base64," + b64encode(codecs.BOM_UTF8 + MAP).decode()
    crashed = resolved(tmp_path, [BuiltFile("~/static/app.min.js", code(inline))])
    assert frames_of(crashed)[0]["filename"] == "../src/app.js"


def test_a_byte_order_mark_before_the_code_moves_no_names(tmp_path: Path) -> None:
    """Browsers count columns without it. The frame at column 40 is outside the function."""
    files = [BuiltFile("~/static/app.min.js", codecs.BOM_UTF8 + CODE), BuiltFile("~/static/app.min.js.map", MAP, "source_map")]
    write_bundle(tmp_path / "7" / "a.zip", files, release="shop@1")
    crashed = event(*({"abs_path": URL, "function": "f", "lineno": 1, "colno": column} for column in (15, 40)))
    resolve(Artifacts(FolderStore(tmp_path), SymbolicEngine()), crashed)
    assert [frame["function"] for frame in frames_of(crashed)] == ["refuse", "f"]
    raw = crashed["exception"]["values"][0]["raw_stacktrace"]["frames"]
    assert raw[0]["context_line"].startswith("function a(b)")


@pytest.mark.parametrize("engine", [SymbolicEngine(), SourcemapEngine()])
@pytest.mark.parametrize(
    ("source", "more", "filename", "abs_path", "module"),
    [
        ("..\\src\\app.js", {}, "../src/app.js", "https://shop.example/src/app.js", "src/app"),
        ("src\\app.js", {"sourceRoot": "..\\"}, "../src/app.js", "https://shop.example/src/app.js", "src/app"),
        ("C:\\build\\shop\\src\\app.js", {}, "C:/build/shop/src/app.js", "C:/build/shop/src/app.js", None),
        ("d:/build/../src/app.js", {}, "d:/build/../src/app.js", "d:/src/app.js", None),
        ("\\\\server\\shop\\app.js", {}, "//server/shop/app.js", "//server/shop/app.js", None),
        ("webpack:///.\\src\\app.js", {}, "./src/app.js", "webpack:///./src/app.js", "src/app"),
    ],
)
def test_a_source_of_windows_has_the_path_that_it_has_elsewhere(
    tmp_path: Path, source: str, more: dict[str, str], filename: str, abs_path: str, module: str | None, engine: Engine
) -> None:
    content = source_map([(0, 14, 0, 1, 2)], [source], [SOURCE], **more)
    files = [BuiltFile("~/static/app.min.js", CODE), BuiltFile("~/static/app.min.js.map", content, "source_map")]
    (frame,) = frames_of(resolved(tmp_path, files, engine=engine))
    assert (frame["filename"], frame["abs_path"], frame.get("module")) == (filename, abs_path, module)


def test_a_source_of_windows_is_found_among_the_artifacts(tmp_path: Path) -> None:
    content = source_map([(0, 14, 0, 1, 2)], ["..\\src\\app.js"])
    files = [
        BuiltFile("~/static/app.min.js", CODE),
        BuiltFile("~/static/app.min.js.map", content, "source_map"),
        BuiltFile("~/src/app.js", SOURCE.encode(), "source"),
    ]
    (frame,) = frames_of(resolved(tmp_path, files))
    assert frame["context_line"] == '  throw new Error("no " + what);'


def test_slashes_of_urls_stay() -> None:
    assert join_source("https://h/a/b.map", "//cdn/c.js") == "https://cdn/c.js"
    assert join_source("/home/a/b.map", "../c.js") == "/home/c.js"


@pytest.mark.parametrize(
    ("url", "images", "debug_id"),
    [
        ("https://h/assets/a.js", {"https://h/assets/a.js": ID, "https://h/b/a.js": OTHER_ID}, ID),
        ("https://h/assets/a.js?v=2", {"https://h/assets/a.js": ID, "https://h/b/a.js": OTHER_ID}, ID),
        ("https://h/assets/a.js", {"https://h/assets/a.js?v=1": ID}, ID),
        ("https://h/assets/a.js", {"https://h/assets/a.js?v=1": ID, "https://h/assets/a.js?v=2": OTHER_ID}, None),
        ("https://h/%5Bid%5D.js", {"https://h/[id].js": ID}, ID),
        ("app:///assets/a.js", {"https://h/assets/a.js": ID, "https://h/assets/b.js": OTHER_ID}, ID),
        ("C:\\shop\\a.js", {"app:///a.js": ID}, ID),
        ("app:///x/a.js", {"https://h/a/a.js": ID, "https://h/b/a.js": OTHER_ID}, None),
        ("app:///x/a.js", {"https://h/a/a.js": ID, "https://h/b/a.js": ID}, ID),
        ("https://h/assets/a.js", {"https://h/assets/aa.js": ID}, None),
        ("https://h/", {"https://h/x/": ID}, None),
        ("https://h/a.js", {}, None),
    ],
)
def test_a_debug_id_is_the_frames_although_its_path_was_changed(url: str, images: dict[str, str], debug_id: str | None) -> None:
    assert find_debug_id(images, url) == debug_id


@pytest.mark.parametrize("engine", [SymbolicEngine(), SourcemapEngine()])
@pytest.mark.parametrize(
    ("more", "in_app"),
    [
        ({"ignoreList": [0]}, False),
        ({"x_google_ignoreList": [0]}, False),
        ({"ignoreList": [0], "sourceRoot": "webpack://shop/"}, False),
        ({"ignoreList": [], "x_google_ignoreList": [0]}, True),
        ({"ignoreList": [1]}, True),
        ({"ignoreList": None}, True),
        ({}, True),
    ],
)
def test_a_source_that_the_map_ignores_is_out_of_app(tmp_path: Path, more: dict[str, Any], in_app: bool, engine: Engine) -> None:
    plain = {
        "version": 3,
        "sources": ["./lib/app.js", "./src/b.js"],
        "names": [],
        "mappings": "cACE",
        "sourceRoot": "webpack://shop/",
        **more,
    }
    for number, content in enumerate((plain, {"version": 3, "sections": [{"offset": {"line": 0, "column": 0}, "map": plain}]})):
        files = [
            BuiltFile("~/static/app.min.js", CODE),
            BuiltFile("~/static/app.min.js.map", json.dumps(content).encode(), "source_map"),
        ]
        (frame,) = frames_of(resolved(tmp_path / str(number), files, engine=engine))
        assert (frame["abs_path"], frame["in_app"]) == ("webpack://shop/./lib/app.js", in_app)


@pytest.mark.parametrize("listed", ["[-2, 7]", '"all"', "[0", '{"a": 0}', "[null]", "[" * 100_000])
def test_a_list_of_ignored_sources_that_is_malformed_ignores_nothing(listed: str) -> None:
    assert (
        find_ignored_sources(b'{"version": 3, "sources": ["a.js", null, 1], "ignoreList": %b}' % listed.encode()) == frozenset()
    )
