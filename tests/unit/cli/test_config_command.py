from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from pipeline.cli.config import config


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name a file of the current folder: a table of 80 columns shows it whole, wherever that folder is."""
    monkeypatch.chdir(tmp_path)
    Path("settings.toml").write_text(
        '[redis]\nurl = "rediss://user:geheim@redis.example:6379/0"\n'
        '[kafka]\nsasl_password = "geheim"\nbrokers = "kafka.example:9092"\n'
        '[reports]\nsentry_dsn = "https://geheim@sentry.example/1"\n'
    )
    return "settings.toml"


def test_what_is_in_force_is_shown_with_its_origin(settings: str) -> None:
    output = CliRunner().invoke(config, ["show", "--settings", settings]).output
    [line] = [line for line in output.splitlines() if line.startswith("kafka.brokers ")]
    assert line.split() == ["kafka.brokers", "kafka.example:9092", settings]
    [line] = [line for line in output.splitlines() if line.startswith("batch.max_records ")]
    assert line.split() == ["batch.max_records", "1000", "default"]


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_no_secret_is_shown(settings: str, options: list[str]) -> None:
    output = CliRunner().invoke(config, ["show", "--settings", settings, *options]).output
    assert "geheim" not in output
    assert "redis.example" in output


def test_json_holds_every_section(settings: str) -> None:
    shown = orjson.loads(CliRunner().invoke(config, ["show", "--settings", settings, "--json"]).output)
    assert shown["kafka"]["sasl_password"] == "***"
    assert shown["redis"]["url"] == "rediss://***@redis.example:6379/0"
    assert shown["batch"]["max_records"] == 1000
