"""`pipeline config show`: all settings and where each comes from."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import click
import msgspec
import orjson
from rich.table import Table

from pipeline.cli.options import settings_file_option, stdout
from pipeline.settings.loading import load_settings, variables
from pipeline.settings.schema import Settings

_CREDENTIALS = re.compile(r"(?<=://)[^/@]*:[^/@]*@")


@click.group()
def config() -> None:
    """Show all settings and where each comes from."""


@config.command(short_help="Print each setting, its value and its origin.")
@settings_file_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, without the origins.")
def show(settings_file: Path | None, *, as_json: bool) -> None:
    """Print each setting with its value, and whether it comes from the default, the file or an environment variable.

    Passwords and DSNs are printed as `***`.

    \b
    Examples:
      pipeline config show
      pipeline config show --settings settings.toml --json | jq .kafka
    """
    values = _without_secrets(msgspec.to_builtins(load_settings(settings_file)))
    if as_json:
        print(orjson.dumps(values, option=orjson.OPT_INDENT_2).decode())
        return
    defaults = _flat(msgspec.to_builtins(Settings()))
    set_by = {".".join(path): name for name, path in variables().items() if name in os.environ}
    table = Table(box=None, pad_edge=False)
    for title in ("setting", "value", "from"):
        table.add_column(title)
    for name, value in _flat(values).items():
        set_in = set_by.get(name) or ("default" if value == defaults[name] else str(settings_file))
        table.add_row(name, "" if value is None else str(value), set_in)
    stdout.print(table)


def _without_secrets(values: dict[str, Any]) -> dict[str, Any]:
    """Return the settings with `***` for passwords, for DSNs, and for the user and password of a URL."""
    hidden: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            hidden[name] = _without_secrets(value)
        elif isinstance(value, str):
            hidden[name] = "***" if name.endswith(("password", "dsn")) else _CREDENTIALS.sub("***@", value)
        else:
            hidden[name] = value
    return hidden


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
