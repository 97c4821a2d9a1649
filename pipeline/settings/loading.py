"""Reads the settings from a TOML file, then from environment variables, then from options. The later wins.

No other file reads the environment.
"""

from __future__ import annotations

import functools
import os
import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from pipeline.model.errors import SettingsError
from pipeline.settings.schema import Section, Settings

PREFIX = "PIPELINE_"
SLIP_LIKENESS = 0.92
"""How similar a variable must be to the variable of a setting, from 0 to 1, to be refused as a spelling mistake."""

SHORT_VARIABLES: dict[str, tuple[str, ...]] = {
    "PIPELINE_ARTIFACTS": ("artifacts", "url"),
    "PIPELINE_CONSUMER_GROUP": ("kafka", "consumer_group"),
    "PIPELINE_SLOT": ("kafka", "slot"),
    "PIPELINE_SENTRY_DSN": ("reports", "sentry_dsn"),
}
"""Environment variables with a shorter name than the one that follows from their setting's path."""


def variables() -> dict[str, tuple[str, ...]]:
    """Return the environment variables of all settings, each with the path of its setting.

    A variable is PIPELINE_ and the path in capitals: PIPELINE_KAFKA_BROKERS for kafka.brokers. Some have a short one as well.
    """
    found: dict[str, tuple[str, ...]] = {}
    for field in msgspec.structs.fields(Settings):
        if isinstance(field.default, Section):
            found |= {f"{PREFIX}{field.name}_{own}".upper(): (field.name, own) for own in field.default.__struct_fields__}
        else:
            found[f"{PREFIX}{field.name}".upper()] = (field.name,)
    return found | SHORT_VARIABLES


def load_settings(
    file: Path | None,
    flags: Mapping[tuple[str, ...], Any] | None = None,
    environment: Mapping[str, str] = os.environ,
    *,
    web_port: int | None = None,
) -> Settings:
    """Return the settings. `flags` maps paths to values; None stands for an option that was not given.

    Raises SettingsError if the file cannot be read, or if a value or the name of a setting or variable is not valid.

    `web_port` is the port of the web views if nothing names one: each service has its own.
    """
    values: dict[str, Any] = {}
    if file is not None:
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8-sig"))
        except OSError as error:
            raise SettingsError(f"{file}: {error.strerror}") from None
        except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
            raise SettingsError(f"{file}: {error}") from None
        _convert(values, str(file))
    if web_port is not None:
        values.setdefault("web", {}).setdefault("port", web_port)
    known = variables()
    for variable in sorted(environment.keys() - known.keys()):
        # Other variables with this prefix are allowed: Kubernetes sets some for a service that is called `pipeline`.
        if variable.startswith(PREFIX) and (meant := get_close_matches(variable, known, 1, SLIP_LIKENESS)):
            raise SettingsError(f"{variable}: no such setting; did you mean {meant[0]}?")
    for variable, path in known.items():
        if variable in environment:
            _put(values, path, _from_text(path, environment[variable]))
            _convert(values, variable)
    for path, value in (flags or {}).items():
        if value is not None:
            _put(values, path, value)
    return _convert(values, "flags")


def _convert(values: dict[str, Any], origin: str) -> Settings:
    try:
        return msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{origin}: {_explain(str(error))}") from None


_MISTAKE = re.compile(r"(.*?)(?: - at `\$\.?(.*)`)?")
_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(.*)`")


def _explain(mistake: str) -> str:
    """Return a message that names the setting first, and its possible values last if they are few."""
    found = _MISTAKE.fullmatch(mistake)
    what, path = (found[1], tuple(filter(None, (found[2] or "").split(".")))) if found else (mistake, ())
    if unknown := _UNKNOWN_FIELD.fullmatch(what):
        section = _default(path)
        meant = get_close_matches(unknown[1], section.__struct_fields__, 1)
        return f"{'.'.join((*path, unknown[1]))}: no such setting" + (f"; did you mean {meant[0]}?" if meant else "")
    what = what.replace(" | null`", "`")  # TOML has no null, and the environment neither
    kind = get_type_hints(type(_default(path[:-1]))).get(path[-1]) if path else None
    choices = ("true", "false") if kind is bool else get_args(kind) if get_origin(kind) is Literal else ()
    return f"{'.'.join(path) or 'settings'}: {what}" + (f"; it is one of {', '.join(choices)}" if choices else "")


def _from_text(path: tuple[str, ...], text: str) -> str | list[str]:
    """Return the value of a variable. For a setting that is a list, return the parts between commas."""
    return [part for each in text.split(",") if (part := each.strip())] if isinstance(_default(path), tuple) else text


def _default(path: tuple[str, ...]) -> Any:
    """Return the default of a setting or a section."""
    return functools.reduce(getattr, path, Settings())


def _put(values: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for name in path[:-1]:
        values = values.setdefault(name, {})
    values[path[-1]] = value
