"""Imports go one way (docs/architecture.md), and a client library is imported only in its edge."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"model"}),
    frozenset({"settings"}),
    frozenset({"observability", "globs"}),
    frozenset({"kafka", "redis", "clickhouse", "spool", "http"}),
    frozenset({"grouping", "sourcemaps", "quotas", "filters", "scrubbing"}),
    frozenset({"rules"}),
    frozenset({"stages"}),
    frozenset({"rule_tools", "runtimes", "uploads"}),
    frozenset({"store"}),
    frozenset({"api"}),
    frozenset({"gateway"}),
    frozenset({"serve"}),
    frozenset({"page"}),
    frozenset({"wiring"}),
    frozenset({"cli"}),
    frozenset({"__main__"}),
)
"""A file may import from its own part and from layers above it in this list, never from another part of its own layer."""

CLIENTS = {
    "re2": "pipeline/scrubbing/",
    "redis": "pipeline/redis/",
    "confluent_kafka": "pipeline/kafka/",
    "aiokafka": "pipeline/runtimes/worker/faust_",
    "faust": "pipeline/runtimes/worker/faust_",
    "obstore": "pipeline/sourcemaps/",
    "sentry_sdk": "pipeline/observability/sentry_",
    "prometheus_client": "pipeline/observability/prometheus_",
    "clickhouse_connect": "pipeline/clickhouse/",
    "chdb": "pipeline/clickhouse/",
    "brotli": "pipeline/http/",
    "granian": "pipeline/http/",
}
"""A client library, and what the path of a file that imports it begins with."""

ADAPTERS = {
    "pipeline.redis.client.connect": "pipeline/redis/",
    "pipeline.redis.embedded": "pipeline/redis/",
    "pipeline.quotas.redis_ledger": "pipeline/quotas/",
    "pipeline.kafka.consumer": "pipeline/kafka/",
    "pipeline.kafka.producer": "pipeline/kafka/",
}
"""What is picked by the settings: outside its own room only pipeline/wiring/ may import it."""

WALL_CLOCKS = {"time.time", "datetime.now", "datetime.utcnow", "random.random"}


def imports_of(source: str) -> Iterator[str]:
    """Yield the dotted names that a file imports, those inside functions too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            for alias in node.names:
                yield f"{node.module}.{alias.name}"


def part_of(module: str) -> str | None:
    """Return the part of the package that a module belongs to, or None for a module of another package."""
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
        edge = CLIENTS.get(module.split(".")[0])
        if edge is not None and not path.startswith(edge):
            found.append(f"{path} imports {module}: only {edge}* may")
        found += [
            f"{path} picks an adapter, {module}: only pipeline/wiring/ may"
            for adapter, room in ADAPTERS.items()
            if f"{module}.".startswith(f"{adapter}.") and not path.startswith((room, "pipeline/wiring/"))
        ]
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
        ("pipeline/kafka/consumer.py", "from pipeline.quotas.ledger import Polled"),
        ("pipeline/redis/client.py", "from pipeline.kafka.config import client_config"),
        ("pipeline/http/bodies.py", "from pipeline.spool.spool import Spool"),
        ("pipeline/gateway/server.py", "from granian.server.embed import Server"),
        ("pipeline/store/queries/issues.py", "from pipeline.api.routes import ROUTES"),
        ("pipeline/rule_tools/cases.py", "from pipeline.runtimes.replay import replay"),
        ("pipeline/quotas/redis_ledger.py", "from redis import Redis"),
        ("pipeline/stages/admit.py", "import redis"),
        ("pipeline/stages/count.py", "def f():\n    from confluent_kafka import Producer"),
        ("pipeline/stages/enrich.py", "import time\nnow = time.time()"),
        ("pipeline/runtimes/replay.py", "from pipeline.wiring.redis import redis_ledger"),
        ("pipeline/cli/quotas.py", "def f():\n    from pipeline.redis.client import connect"),
        ("pipeline/cli/offsets.py", "from pipeline.quotas.redis_ledger import RedisLedger"),
        ("pipeline/wiring/worker.py", "from pipeline.cli import main"),
        ("pipeline/store/rows.py", "import clickhouse_connect"),
        ("pipeline/store/rows.py", "from pipeline.api import routes"),
        ("pipeline/clickhouse/client.py", "from pipeline.store.rows import read_outcome"),
    ],
)
def test_a_planted_violation_is_found(path: str, source: str) -> None:
    assert violations(path, source)
