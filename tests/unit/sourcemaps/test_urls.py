from __future__ import annotations

import pytest

from pipeline.sourcemaps import function_names, map_references, urls


@pytest.mark.parametrize(
    ("base", "reference", "joined"),
    [
        ("https://h/a/b.js", "../../../c.js", "https://h/c.js"),
        ("app:///a/b.js", "../../c.js", "app:///../c.js"),
        ("/srv/a/b.js", "../c.js", "/srv/c.js"),
        ("b.js", "c.js", "c.js"),
        ("https://h", "c.js", "https://h/c.js"),
        ("https://h/a.js", "c.js?v=../1#x/../y", "https://h/c.js?v=../1#x/../y"),
        ("https://h/a.js", "", "https://h/"),
        ("https://h/a.js", "data:x", "https://h/data:x"),
        ("https://[::1/a.js", "c.js", "https://[::1/c.js"),
        ("webpack://shop/./src/a.js", "b.js", "webpack://shop/src/b.js"),
    ],
)
def test_join(base: str, reference: str, joined: str) -> None:
    assert urls.join_urls(base, reference) == joined


@pytest.mark.parametrize(
    ("source", "filename"),
    [
        ("webpack:///~/react/index.js", "~/react/index.js"),
        ("webpack:///./~/react/index.js", "~/react/index.js"),
        ("webpack://shop/./src/a.js", "./src/a.js"),
        ("webpack://shop/src/a.js", "webpack://shop/src/a.js"),
        ("webpack-internal:///./a.js", "./a.js"),
        ("../src/~/a.js", "../src/~/a.js"),
    ],
)
def test_source_names(source: str, filename: str) -> None:
    assert urls.clean_source_name(source) == filename


@pytest.mark.parametrize(
    ("url", "module"),
    [
        ("https://h/static/chunk.5f3a9c1d.js", "chunk"),
        ("https://h/a/.hidden", "a/.hidden"),
        ("https://h/", "<unknown module>"),
        ("", "<unknown module>"),
        ("https://h/build/v1.2.0/~x/app.min.js", "app"),
    ],
)
def test_modules(url: str, module: str) -> None:
    assert urls.generate_module(url) == module


@pytest.mark.parametrize(
    ("value", "normalized"),
    [
        ("C941D872AF1F4F0CA7FFAD3D295FE153", "c941d872-af1f-4f0c-a7ff-ad3d295fe153"),
        ("c941d872-af1f-4f0c-a7ff-ad3d295fe153-0", "c941d872-af1f-4f0c-a7ff-ad3d295fe153"),
        ("c941d872-af1f-4f0c-a7ff-ad3d295fe153-a", "c941d872-af1f-4f0c-a7ff-ad3d295fe153-a"),
        ("not-an-id", None),
        (7, None),
        ("c" * 100_000, None),
    ],
)
def test_debug_ids(value: object, normalized: str | None) -> None:
    assert map_references.normalize_debug_id(value) == normalized


def test_the_last_comment_counts_and_it_may_follow_code() -> None:
    text = b"//# sourceMappingURL=a.map\nx();//@ sourceMappingURL=b.map\n/*# sourceMappingURL=c.map */\nsourceMappingURL=d.map"
    assert map_references.find_map_comment(text) == "b.map"
    assert map_references.find_map_comment(b"//# sourceMappingURL=\n//x") is None


@pytest.mark.parametrize(
    "url",
    [
        "data:application/json;base64,eyJ2IjogM30=",
        "data:application/json;base64,eyJ2IjogM30",
        "data:application/json;base64,eyJ2IjogM30%3D",
        "data:application/json;base64,eyJ2%20IjogM30=",
        "data:application/json;charset=utf-8;BASE64,eyJ2IjogM30=",
        "data:application/json,%7B%22v%22%3A%203%7D",
    ],
)
def test_a_map_in_its_comment(url: str) -> None:
    assert map_references.decode_data_url(url) == b'{"v": 3}'


@pytest.mark.parametrize("url", ["data:;base64,eyJ2IjogM30==", "data:;base64,eyJ2Ij%FF", "data:;base64,e", "data:x"])
def test_a_map_in_its_comment_that_does_not_decode(url: str) -> None:
    with pytest.raises(map_references.InvalidDataUrlError):
        map_references.decode_data_url(url)


def test_a_header_wins_over_the_comment() -> None:
    code = b"//# sourceMappingURL=a.map"
    assert map_references.find_map_reference(code, {"x-sourcemap": "b.map"}) == "b.map"
    assert map_references.find_map_reference(code, {"x-sourcemap": "b.map", "sourcemap": "c.map"}) == "c.map"


@pytest.mark.parametrize(
    ("scope", "token", "minified", "name"),
    [
        ("Cart.add", "add", "a", "Cart.add"),
        ("", "add", "a", "<anonymous>"),
        (None, "add", "a", "a"),
        (None, "add", None, "<unknown>"),
        ("$async$build", "build", "a", "build"),
    ],
)
def test_scoped_names(scope: str | None, token: str, minified: str | None, name: str) -> None:
    assert function_names.scoped_name(scope, token, minified) == name
