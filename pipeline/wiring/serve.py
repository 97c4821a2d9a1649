"""`pipeline serve`: gateway, stages and store in one process, over one folder."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import msgspec

from pipeline.clickhouse.client import Client
from pipeline.gateway.process import Gateway
from pipeline.grouping.grouping_toml import FILE, GroupingToml
from pipeline.model.rule_file import Layer, RuleFile, read_layers
from pipeline.observability.prometheus_gateway import GatewayMetrics
from pipeline.redis.embedded import EmbeddedRedis
from pipeline.rules.folder import DEFAULT, RulesFolder
from pipeline.rules.shipped import SHIPPED_RULES, rules_path
from pipeline.runtimes.dead_letter_limit import DeadLetterLimit
from pipeline.runtimes.loop import Loop
from pipeline.serve.journal import Journal
from pipeline.serve.sink import ServeSink
from pipeline.serve.source import ServeBatch, ServeSource
from pipeline.serve.work import ServeResult, ServeWork
from pipeline.settings.schema import Settings
from pipeline.store.migrations import migrate
from pipeline.store.writer import RowWriter
from pipeline.wiring.api import read_api
from pipeline.wiring.contexts import configured_artifacts, worker_context
from pipeline.wiring.gateway import make_door, open_spool
from pipeline.wiring.redis import connect_redis, redis_ledger
from pipeline.wiring.store import connect_clickhouse

log = logging.getLogger(__name__)


def serve_settings(settings: Settings) -> Settings:
    """Return the settings with everything that is kept in the data folder. Raises OSError if the folder cannot be made."""
    data = Path(settings.serve.data).absolute()
    for name in ("spool", "artifacts"):
        (data / name).mkdir(parents=True, exist_ok=True)
    replace = msgspec.structs.replace
    return replace(
        settings,
        clickhouse=replace(settings.clickhouse, url=f"chdb://{data / 'chdb'}"),
        gateway=replace(settings.gateway, spool=str(data / "spool")),
        artifacts=replace(settings.artifacts, url=settings.artifacts.url or str(data / "artifacts")),
    )


def make_serve(settings: Settings, metrics: GatewayMetrics, on_listening: Callable[[Settings], None]) -> Gateway:
    """Return everything put together, with its Redis running. `settings` are those of `serve_settings`.

    Raises SettingsError if another process uses the folder, InvalidRulesError, NoRedisError, AwayError, RefusedError.
    """
    data = Path(settings.serve.data).absolute()
    client = connect_clickhouse(settings)  # first, because it says which process has the folder
    rules = pinned_rules(data, settings)
    redis = EmbeddedRedis(data / "redis")
    try:
        return _assemble(settings, data, client, rules, redis, metrics, on_listening)
    except BaseException:
        redis.close()
        raise


def _assemble(
    settings: Settings,
    data: Path,
    client: Client,
    rules: RulesFolder,
    redis: EmbeddedRedis,
    metrics: GatewayMetrics,
    on_listening: Callable[[Settings], None],
) -> Gateway:
    migrate(client)
    settings = msgspec.structs.replace(settings, redis=msgspec.structs.replace(settings.redis, url=redis.url))
    ledger = redis_ledger(connect_redis(settings), settings)
    spool = open_spool(settings)
    sink = ServeSink(spool.id, Journal(data / "journal"), RowWriter(client), data / "dead_letters.jsonl")
    source = ServeSource(spool, sink.begin, settings.batch)
    context = worker_context(settings, rules, ledger, configured_artifacts(settings))

    def check() -> None:
        redis.check()
        ledger.check()
        client.ping()

    work = ServeWork(spool.id, lambda: sink.position, context, metrics, check=check)
    limit = DeadLetterLimit(settings.dead_letters)
    loop: Loop[ServeBatch, ServeResult] = Loop(source, work, sink, metrics, limit, chores=(ledger.look_for_losses,))
    api = read_api(settings, client, rules, settings.gateway.public_url)
    door = make_door(settings, spool, rules, metrics, api)

    def end() -> None:
        redis.close()
        client.close()

    about = {"data": str(data), "clickhouse": client.version}
    return Gateway(settings, door, spool, source, work, loop, rules, metrics, about, lambda: on_listening(settings), end)


def pinned_rules(data: Path, settings: Settings) -> RulesFolder:
    """Return the rules, grouping as they did when the folder was first used.

    A later version may have another default, and must not regroup what is stored. What a person's own rules folder says holds
    against the pinned values; what the shipped rules say does not.
    """
    path = rules_path(settings.rules)
    is_shipped = path == SHIPPED_RULES
    pinned = data / FILE
    if not pinned.exists():
        pinned.write_text(_pin(path))
    layer: Layer = {FILE: RuleFile(str(pinned), pinned.read_text())}
    return RulesFolder(path, pinned=layer, is_pinned_above_default=is_shipped)


def _pin(path: Path) -> str:
    """Return the grouping that a rules folder's default asks for, as the text of a grouping.toml."""
    default = path / DEFAULT / FILE
    layers = [{FILE: RuleFile(str(default), default.read_text())}] if default.is_file() else []
    found = read_layers(FILE, layers, GroupingToml)
    lines = [
        "# How events are grouped here since this folder was first used. A later version with another default changes nothing.",
        "# docs/spec/grouping.md says how to change it without splitting groups.",
        f'strategy = "{found.strategy}"',
        f'hash = "{found.hash}"',
        f"builtin_fingerprints = {str(found.builtin_fingerprints).lower()}",
    ]
    if found.enhancement_base is not None:
        lines.append(f'enhancement_base = "{found.enhancement_base}"')
    return "\n".join(lines) + "\n"
