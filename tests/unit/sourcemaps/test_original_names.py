from __future__ import annotations

from pathlib import Path

import pytest
from support.artifact_bundles import BuiltFile, write_bundle
from support.source_maps import CODE, MAP, event, frames_of, source_map
from support.symbolication import resolve

from pipeline.settings.schema import ArtifactSettings
from pipeline.sourcemaps.engines.original_names import TreeSitterNames
from pipeline.wiring.artifacts import open_artifacts


def name_at(code: str, file: str = "a.js") -> str | None:
    """Return the name at `HERE`."""
    before = code[: code.index("HERE")]
    names = TreeSitterNames().read(file, code.encode())
    assert names is not None
    return names.find(before.count("\n") + 1, len(before.rpartition("\n")[2].encode("utf-16-le")) // 2 + 1)


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("function a() { HERE }", "a"),
        ("async function a() { await HERE }", "a"),
        ("function* a() { yield HERE }", "a"),
        ("function a() { function b() { HERE } }", "b"),
        ("function a() { function b() {} HERE }", "a"),
        ("const a = () => HERE;", "a"),
        ("const a = async function () { HERE };", "a"),
        ("const a = function b() { HERE };", "b"),
        ("const a = (() => HERE) as F;", "a"),
        ("let a; a = () => HERE;", "a"),
        ("obj.run = () => HERE;", "obj.run"),
        ("module.exports.run = function () { HERE }", "run"),
        ("Cart.prototype.total = function () { HERE }", "Cart.total"),
        ("this.onClick = () => HERE", "onClick"),
        ("handlers[0] = () => HERE", ""),
        ("const o = { run: () => HERE }", "o.run"),
        ("const o = { run() { HERE } }", "o.run"),
        ("const o = { 'a-b': () => HERE }", "o.a-b"),
        ("const o = { ['a' + b]: () => HERE }", ""),
        ("call({ run() { HERE } })", "run"),
        ("class Cart { total() { HERE } }", "Cart.total"),
        ("class Cart { static make() { HERE } }", "Cart.make"),
        ("class Cart { #secret() { HERE } }", "Cart.#secret"),
        ("class Cart { get total() { HERE } }", "get Cart.total"),
        ("class Cart { constructor() { HERE } }", "new Cart"),
        ("class Cart { price = () => HERE }", "Cart.price"),
        ("const Cart = class { total() { HERE } }", "Cart.total"),
        ("export default class { total() { HERE } }", "total"),
        ("export default function () { HERE }", ""),
        ("items.map((x) => HERE)", ""),
        ("const memo = useCallback(() => HERE)", ""),
        ("function App() { return <div onClick={() => go()}>{HERE}</div> }", "App"),
        ("export function a<T extends X<number>>(b: T): void { HERE!; }", "a"),
        ("HERE; function a() {}", None),
        ("const ä = '😀', a = () => HERE", "a"),
        ("function a() { ) ( \n HERE }\nfunction b() {}", "a"),
    ],
)
def test_a_function_has_the_name_that_its_text_gives_it(code: str, name: str | None) -> None:
    assert name_at(code) == name


@pytest.mark.parametrize("file", ["App.vue", "webpack:///./src/App.vue?1234", "App.svelte"])
def test_a_component_is_read_by_its_scripts(file: str) -> None:
    script = "<script lang='ts'>\nexport default { methods: { buy() { HERE } } }\n</script>\n"
    code = f"<template>\n<p>it's {{ ö }}</p>\n</template>\n{script}"
    assert name_at(code, file) == "buy"


def test_positions_outside_of_the_file_have_no_name() -> None:
    names = TreeSitterNames().read("a.js", b"function a() {}")
    assert names is not None
    assert [names.find(line, column) for line, column in ((0, 1), (2, 1), (1, 999), (1, 1))] == [None, None, None, "a"]
    empty = TreeSitterNames().read("a.js", b"")
    assert empty is not None
    assert empty.find(1, 1) is None
    assert TreeSitterNames().read("a.js", b" " * 250_001) is None


@pytest.mark.parametrize(
    "text", [b"(" * 100_000, b"`${" * 50_000, b"a=>" * 50_000, b"class A{a=" * 20_000, b"a<" * 100_000, b"\xff\0" * 10_000]
)
def test_hostile_text_gives_names_or_none(text: bytes) -> None:
    names = TreeSitterNames().read("a.js", text)
    assert names is not None
    names.find(1, 50_000)


@pytest.mark.parametrize("engine", ["symbolic", "sourcemap"])
def test_names_from_the_original_text_are_a_setting(tmp_path: Path, engine: str) -> None:
    """The built file has the code of `refuse` inlined into `a`."""
    text = source_map([(0, 14, 0, 1, 2)], ["../src/app.ts"], ["const refuse = (what: string) => {\n  throw what;\n};\n"])
    write_bundle(
        tmp_path / "7" / "a.zip",
        [BuiltFile("~/static/app.min.js", CODE), BuiltFile("~/static/app.min.js.map", text, "source_map")],
        release="shop@1",
    )
    found = {}
    for function_names in ("minified", "original"):
        settings = ArtifactSettings(url=str(tmp_path), engine=engine, function_names=function_names)  # type: ignore[arg-type]
        crashed = event()
        assert resolve(open_artifacts(settings), crashed) == (1, 1)
        found[function_names] = frames_of(crashed)[0]["function"]
    assert found == {"minified": "a", "original": "refuse"}


def test_a_source_whose_text_is_missing_keeps_the_name_of_the_built_file(tmp_path: Path) -> None:
    files = [
        BuiltFile("~/static/app.min.js", CODE),
        BuiltFile("~/static/app.min.js.map", MAP.replace(b"sourcesContent", b"x"), "source_map"),
    ]
    write_bundle(tmp_path / "7" / "a.zip", files, release="shop@1")
    crashed = event()
    resolve(open_artifacts(ArtifactSettings(url=str(tmp_path), function_names="original")), crashed)
    assert frames_of(crashed)[0]["function"] == "refuse"
