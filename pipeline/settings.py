"""Every setting, its default and its unit. The only file that reads the environment.

A TOML file comes first, then the environment, then flags; the later wins.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One table of the settings file; a name that is not listed here is refused."""


class Input(_Section):
    """What is read, and how large it may be."""

    max_record_bytes: int = 10_000_000
    """A larger record becomes a dead letter without being held in memory."""
    unknown_projects: Literal["accept", "reject"] = "accept"
    """What happens to a project without a folder under rules/projects: the default's rules, or outcome invalid (project_id)."""


class Batch(_Section):
    """How much is handled together. A worker cuts by all three; replay never by time."""

    max_records: int = 1_000
    max_bytes: int = 8_000_000
    max_wait_ms: int = 100


class Redis(_Section):
    """Where quotas, duplicates and counts are kept."""

    url: str | None = None
    """redis://, rediss:// (TLS) or unix://. None: replay starts its own server for the run."""
    timeout_s: float = 5.0


class Quotas(_Section):
    """How quotas behave when Redis does not."""

    on_unavailable: Literal["wait", "accept"] = "wait"
    """wait: partitions pause and nothing is lost. accept: events pass uncounted, and a metric says so."""
    duplicates: bool = True
    duplicate_window_s: int = 3_600
    """An event id seen again in its project within this time is refused. About 150 MB of Redis memory per million ids."""


class Artifacts(_Section):
    """Where source maps come from."""

    url: str | None = None
    """A folder, or an object store's URL. None: symbolication is off and adds no errors."""
    engine: Literal["symbolic", "sourcemap"] = "symbolic"
    """symbolic resolves function names by scope; sourcemap is pure Python and gives positions only."""


class Kafka(_Section):
    """The broker and the names on it."""

    brokers: str = "127.0.0.1:9092"
    consumer_group: str = "pipeline"
    events_in: str = "ingest-events"
    events_out: str = "events"
    outcomes: str = "outcomes"
    dead_letters: str = "ingest-events-dlq"


class Web(_Section):
    """The worker's web views: health, metrics, live counts."""

    port: int = 6066


class Settings(_Section):
    """All sections. `rules` is the rules folder."""

    rules: str = "rules"
    input: Input = Input()
    batch: Batch = Batch()
    redis: Redis = Redis()
    quotas: Quotas = Quotas()
    artifacts: Artifacts = Artifacts()
    kafka: Kafka = Kafka()
    web: Web = Web()


ENVIRONMENT: Mapping[str, tuple[str, ...]] = {
    "PIPELINE_RULES": ("rules",),
    "PIPELINE_REDIS_URL": ("redis", "url"),
    "PIPELINE_ARTIFACTS": ("artifacts", "url"),
    "PIPELINE_KAFKA_BROKERS": ("kafka", "brokers"),
    "PIPELINE_CONSUMER_GROUP": ("kafka", "consumer_group"),
    "PIPELINE_WEB_PORT": ("web", "port"),
}
"""Environment variable to the setting that it sets."""


class SettingsError(Exception):
    """A settings file, variable or flag that cannot be used; the text names it."""


def load_settings(
    file: Path | None, flags: Mapping[tuple[str, ...], Any] | None = None, environment: Mapping[str, str] = os.environ
) -> Settings:
    """Read the settings from file, environment and flags. Raises SettingsError."""
    values: dict[str, Any] = {}
    if file is not None:
        try:
            values = tomllib.loads(file.read_text())
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise SettingsError(f"{file}: {error}") from None
        _convert(values, str(file))
    for variable, path in ENVIRONMENT.items():
        if variable in environment:
            _put(values, path, environment[variable])
            _convert(values, variable)
    for path, value in (flags or {}).items():
        if value is not None:
            _put(values, path, value)
    return _convert(values, "flags")


def _convert(values: dict[str, Any], origin: str) -> Settings:
    try:
        return msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{origin}: {error}") from None


def _put(values: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for name in path[:-1]:
        values = values.setdefault(name, {})
    values[path[-1]] = value
