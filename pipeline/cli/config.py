"""`pipeline config show`: every setting in force, and where it comes from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
import msgspec
import orjson
from rich.table import Table

from pipeline.cli.options import stdout
from pipeline.settings import ENVIRONMENT, Settings, load_settings


@click.group()
def config() -> None:
    """Show every setting in force, and where it comes from."""


@config.command()
@click.option("--settings", "settings_file", type=click.Path(path_type=Path), metavar="FILE", help="Settings in TOML.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def show(settings_file: Path | None, *, as_json: bool) -> None:
    """Print each setting with its value and its origin: default, file or environment."""
    in_force = load_settings(settings_file)
    if as_json:
        print(orjson.dumps(msgspec.to_builtins(in_force), option=orjson.OPT_INDENT_2).decode())
        return
    defaults = _flat(msgspec.to_builtins(Settings()))
    variables = {".".join(path): name for name, path in ENVIRONMENT.items() if name in os.environ}
    table = Table(box=None, pad_edge=False)
    for title in ("setting", "value", "from"):
        table.add_column(title)
    for name, value in _flat(msgspec.to_builtins(in_force)).items():
        origin = variables.get(name) or ("default" if value == defaults[name] else str(settings_file))
        table.add_row(name, "" if value is None else str(value), origin)
    stdout.print(table)


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
