"""Imports go one way (design, section 3), and a client library is imported only in files named after it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"model", "settings"}),
    frozenset({"grouping", "sourcemaps", "quotas", "filters", "scrubbing", "observability"}),
    frozenset({"rules"}),
    frozenset({"stages"}),
    frozenset({"runtimes"}),
    frozenset({"wiring"}),
    frozenset({"cli"}),
    frozenset({"__main__"}),
)
"""A file may import from its own part and from layers above it in this list, never from another part of its own layer."""

CLIENTS = {
    "redis": "redis",
    "confluent_kafka": "kafka",
    "aiokafka": "kafka",
    "faust": "faust",
    "obstore": "object_store",
    "sentry_sdk": "sentry",
    "prometheus_client": "prometheus",
}
"""A client library, and the word that the name of a file that imports it must hold."""

WALL_CLOCKS = {"time.time", "datetime.now", "datetime.utcnow", "random.random"}


def imports_of(source: str) -> Iterator[str]:
    """Give the dotted names that a file imports, those inside functions too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            for alias in node.names:
                yield f"{node.module}.{alias.name}"


def part_of(module: str) -> str | None:
    """Give the part of the package that a module belongs to, None for what is not ours."""
    names = module.split(".")
    return names[1] if names[0] == "pipeline" and len(names) > 1 else None


def layer_of(part: str) -> int | None:
    return next((number for number, parts in enumerate(LAYERS) if part in parts), None)


def violations(path: str, source: str) -> list[str]:
    """Name every import of a file that points the wrong way, or that belongs into another file."""
    found = []
    own_part = part_of(path.removesuffix(".py").replace("/", "."))
    own_layer = layer_of(own_part) if own_part else None
    for module in set(imports_of(source)):
        part = part_of(module)
        if part is not None and part not in {own_part, "__version__"} and own_layer is not None:
            layer = layer_of(part)
            if layer is not None and layer >= own_layer:
                found.append(f"{path} imports {module}: the arrow points the wrong way")
        word = CLIENTS.get(module.split(".")[0])
        if word is not None and word not in Path(path).name:
            found.append(f"{path} imports {module}: only a file with {word!r} in its name may")
    if own_part in {"model", "stages"}:
        found += [f"{path} reads the clock or chance: {name}" for name in WALL_CLOCKS if name in source]
    return sorted(found)


def files() -> list[Path]:
    return sorted((ROOT / "pipeline").rglob("*.py"))


@pytest.mark.parametrize("file", files(), ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_point_one_way(file: Path) -> None:
    assert violations(str(file.relative_to(ROOT)), file.read_text()) == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("pipeline/model/event.py", "from pipeline.stages import ERRORS"),
        ("pipeline/model/event.py", "def f():\n    import pipeline.wiring"),
        ("pipeline/grouping/grouper.py", "from pipeline.quotas.model import Quota"),
        ("pipeline/stages/admit.py", "import redis"),
        ("pipeline/stages/count.py", "def f():\n    from confluent_kafka import Producer"),
        ("pipeline/stages/enrich.py", "import time\nnow = time.time()"),
        ("pipeline/runtimes/replay.py", "from pipeline.wiring import redis_ledger"),
        ("pipeline/wiring.py", "from pipeline.cli import main"),
    ],
)
def test_a_planted_violation_is_found(path: str, source: str) -> None:
    assert violations(path, source)
