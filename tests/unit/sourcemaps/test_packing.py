"""Bundles made of build folders: what a build may name, and what is made of it."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from support.source_maps import CODE, MAP

from pipeline.sourcemaps.bundle import Bundle, read_bundle
from pipeline.sourcemaps.packing import Packed, UnusableUrlPrefixError, normalize_url_prefix, pack_folder
from pipeline.sourcemaps.stores.contract import StoredBundle

ID = "f81c208d-9b7d-58f8-b103-e6a3855a8f31"


def pack(folder: Path, release: str | None = "r", **files: bytes) -> tuple[Packed, Bundle]:
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_bytes(content)
    target = io.BytesIO()
    packed = pack_folder(folder, target, release=release, dist=None, url_prefix="~", max_file_bytes=1_000_000)
    return packed, read_bundle(StoredBundle("a.zip", "1", 0, 0.0), target)


@pytest.mark.parametrize(
    "reference", [b"x" * 5_000, b"/".join([b"x" * 300] * 3), b"a\0b.map", b"../../../etc/passwd", b"\xff\xfe.map", b"."]
)
def test_a_reference_that_names_no_file_is_a_warning(tmp_path: Path, reference: bytes) -> None:
    packed, bundle = pack(tmp_path, app_js=b"x()\n//# sourceMappingURL=" + reference)
    assert packed.files == ["~/app.js"]
    assert bundle.damage == ()
    assert "which is not there" in packed.warnings[0]
    assert len(packed.warnings[0]) < 300


def test_a_map_beside_the_file_is_named_where_the_comment_names_none(tmp_path: Path) -> None:
    """A bundler's own code holds the comment's beginning in a string."""
    code = b'y="//# sourceMappingURL="+x()'
    packed, bundle = pack(tmp_path, app_js=code, app_js_map=MAP)
    assert packed.warnings == []
    assert bundle.by_url["~/app.js"].headers == {"sourcemap": "app.js.map"}


@pytest.mark.parametrize("source", ["x" * 5_000, "a\\u0000b", "../../../etc/passwd", "."])
def test_a_source_that_names_no_file_of_the_folder_is_left_out(tmp_path: Path, source: str) -> None:
    packed, _ = pack(tmp_path, app_min_js=CODE, app_min_js_map=b'{"version":3,"mappings":"","sources":["%s"]}' % source.encode())
    assert packed.files == ["~/app.min.js", "~/app.min.js.map"]


@pytest.mark.parametrize("guard", [b"", b")]}'\n", b")]}\n"])
def test_a_map_behind_a_guard_keeps_its_debug_id(tmp_path: Path, guard: bytes) -> None:
    packed, bundle = pack(
        tmp_path, None, app_min_js=CODE, app_min_js_map=guard + b'{"debugId": "%s", %s' % (ID.encode(), MAP[1:])
    )
    assert (packed.warnings, packed.with_debug_id) == ([], 1)
    assert {debug_id for debug_id, _ in bundle.by_debug_id} == {ID}


@pytest.mark.parametrize(
    ("prefix", "taken_as"),
    [
        ("~/", "~"),
        ("~/static/", "~/static"),
        ("/static", "~/static"),
        ("static", "~/static"),
        ("./static//js", "~/static/js"),
        ("~static", "~/static"),
        ("~\\static", "~/static"),
        ("", "~"),
        ("https://shop.example/static/", "https://shop.example/static"),
        ("HTTPS://Shop.example:443/Static", "https://shop.example/Static"),
        ("https://shop.example:8443", "https://shop.example:8443"),
        ("app:///dist", "app:///dist"),
        (f"{Path.home()}/static", "~/static"),
    ],
)
def test_a_url_prefix_is_taken_as_frames_name_it(prefix: str, taken_as: str) -> None:
    assert normalize_url_prefix(prefix) == taken_as


@pytest.mark.parametrize(
    ("prefix", "advice"),
    [
        ("shop.example/static", "https://shop.example/static"),
        ("localhost:3000/static", "https://localhost:3000/static"),
        ("//cdn.example/static", "https://cdn.example/static"),
        ("https:///static", "https://HOST"),
        ("https:/shop/static", "SCHEME://HOST"),
        ("~/static?v=1", "~/static"),
        ("../static", "~/static"),
    ],
)
def test_a_url_prefix_that_no_frame_can_match_is_refused(prefix: str, advice: str) -> None:
    with pytest.raises(UnusableUrlPrefixError, match=re.escape(advice)):
        normalize_url_prefix(prefix)


@pytest.mark.parametrize("reference", [b"https://maps.internal/app.js.map", b"/maps/app.js.map", b"data:;base64,`+x"])
def test_a_map_beside_the_file_is_the_map_of_one_that_is_named_elsewhere(tmp_path: Path, reference: bytes) -> None:
    code = b"x()\n//# sourceMappingURL=%b\n//# debugId=%b\n" % (reference, ID.encode())
    packed, bundle = pack(tmp_path, None, app_js=code, app_js_map=MAP)
    assert packed.warnings == []
    assert bundle.by_debug_id.keys() == {(ID, "minified_source"), (ID, "source_map")}


def test_a_reference_may_be_percent_encoded(tmp_path: Path) -> None:
    (tmp_path / "my cart.js.map").write_bytes(MAP)
    (tmp_path / "my cart.js").write_bytes(b"x()\n//# sourceMappingURL=my%20cart.js.map\n")
    packed, bundle = pack(tmp_path)
    assert packed.warnings == []
    assert bundle.by_url["~/my cart.js"].headers == {}
