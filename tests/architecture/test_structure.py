"""The shape of the package: no import cycle, no file that only forwards, no long file without a reason.

And its names: no name hides a module, and no two public classes share a name.
"""

from __future__ import annotations

import ast
import functools
import importlib
from collections import defaultdict
from collections.abc import Mapping
from operator import attrgetter
from pathlib import Path

import pytest

import pipeline

ROOT = Path(__file__).parents[2]
LONG = 300
REASON = "This file is long because"


@functools.cache
def sources() -> dict[str, str]:
    """Return the source of every module of the package by its dotted name."""
    found = {}
    for path in sorted((ROOT / "pipeline").rglob("*.py")):
        name = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
        found[name.removesuffix(".__init__")] = path.read_text()
    return found


def imported_at_start(source: str, modules: Mapping[str, str]) -> set[str]:
    """Return the modules of ours that a module imports when it is imported itself."""
    found: set[str] = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name in modules}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names = {f"{node.module}.{alias.name}" for alias in node.names} & modules.keys()
            found |= names or ({node.module} & modules.keys())
    return found


def cycle_in(arrows: Mapping[str, set[str]]) -> list[str]:
    """Return the modules of one import cycle, or none."""
    done: set[str] = set()

    def walk(module: str, way: list[str]) -> list[str]:
        if module in way:
            return [*way[way.index(module) :], module]
        if module in done:
            return []
        for target in sorted(arrows.get(module, ())):
            if found := walk(target, [*way, module]):
                return found
        done.add(module)
        return []

    for module in arrows:
        if found := walk(module, []):
            return found
    return []


def only_forwards(source: str) -> bool:
    """Whether a module defines nothing and only imports what others define."""
    body = [node for node in ast.parse(source).body if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))]
    imports = [node for node in body if isinstance(node, ast.Import | ast.ImportFrom)]
    rest = [node for node in body if node not in imports]
    is_list = [
        isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__"
        for node in rest
    ]
    return any(isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pipeline") for node in imports) and all(
        is_list
    )


def test_no_module_imports_itself_through_others() -> None:
    modules = sources()
    assert cycle_in({name: imported_at_start(source, modules) for name, source in modules.items()}) == []


def test_a_planted_cycle_is_found() -> None:
    assert cycle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]


@pytest.mark.parametrize("name", sources())
def test_no_file_only_forwards(name: str) -> None:
    assert not only_forwards(sources()[name]), f"{name} defines nothing: import from where it is defined"


def test_a_planted_forwarder_is_found() -> None:
    assert only_forwards('"""Doc."""\nfrom pipeline.model.item import Item\n\n__all__ = ["Item"]\n')
    assert not only_forwards("from pipeline.model.item import Item\n\nITEMS: list[Item] = []\n")


def test_long_files_say_why() -> None:
    files = [path for suffix in ("*.py", "*.lua") for path in (ROOT / "pipeline").rglob(suffix)]
    texts = {str(path.relative_to(ROOT)): path.read_text() for path in files}
    assert [name for name, text in texts.items() if text.count("\n") > LONG and REASON not in text[:3_000]] == []


@pytest.mark.parametrize("name", [name for name in sources() if name not in {"pipeline", "pipeline.__main__"}])
def test_no_name_hides_a_module(name: str) -> None:
    """`import pipeline.stages.normalize.event` and the attribute of that name are the same."""
    module = importlib.import_module(name)
    assert attrgetter(name.removeprefix("pipeline."))(pipeline) is module


def classes_of_one_name(modules: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the names that several public classes have, with the modules that define them."""
    found = defaultdict(list)
    for module, source in modules.items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(module)
    return {name: definers for name, definers in found.items() if len(definers) > 1}


def test_every_public_class_has_a_name_of_its_own() -> None:
    """One word has one meaning (docs/glossary.md). Private classes may share a name: nobody else meets it."""
    assert classes_of_one_name(sources()) == {}


def test_a_planted_second_class_is_found() -> None:
    planted = {"a": "class Part: ...", "b": "class Part: ...\nclass _Line: ...", "c": "class _Line: ..."}
    assert classes_of_one_name(planted) == {"Part": ["a", "b"]}
