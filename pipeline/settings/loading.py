"""Reading the settings: a TOML file comes first, then the environment, then flags; the later wins.

This is the only file that reads the environment.
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
"""How like a setting's variable another must be, from 0 to 1, to be taken for a slip of the finger."""

SHORT_VARIABLES: dict[str, tuple[str, ...]] = {
    "PIPELINE_ARTIFACTS": ("artifacts", "url"),
    "PIPELINE_CONSUMER_GROUP": ("kafka", "consumer_group"),
    "PIPELINE_SLOT": ("kafka", "slot"),
    "PIPELINE_SENTRY_DSN": ("reports", "sentry_dsn"),
}
"""Environment variables that have a shorter name than their setting's path makes."""


def variables() -> dict[str, tuple[str, ...]]:
    """Give the environment variable of every setting: PIPELINE_ and its path in capitals, and the short ones."""
    found: dict[str, tuple[str, ...]] = {}
    for field in msgspec.structs.fields(Settings):
        if isinstance(field.default, Section):
            found |= {f"{PREFIX}{field.name}_{own}".upper(): (field.name, own) for own in field.default.__struct_fields__}
        else:
            found[f"{PREFIX}{field.name}".upper()] = (field.name,)
    return found | SHORT_VARIABLES


def load_settings(
    file: Path | None, flags: Mapping[tuple[str, ...], Any] | None = None, environment: Mapping[str, str] = os.environ
) -> Settings:
    """Read the settings from file, environment and flags. Raises SettingsError."""
    values: dict[str, Any] = {}
    if file is not None:
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8-sig"))
        except OSError as error:
            raise SettingsError(f"{file}: {error.strerror}") from None
        except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
            raise SettingsError(f"{file}: {error}") from None
        _convert(values, str(file))
    known = variables()
    for variable in sorted(environment.keys() - known.keys()):
        # Others have variables under our prefix too, such as Kubernetes for a service of our name.
        if variable.startswith(PREFIX) and (meant := get_close_matches(variable, known, 1, SLIP_LIKENESS)):
            raise SettingsError(f"{variable}: no such setting; {meant[0]} is one")
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
    """Say first which setting is meant, and last what it may be, where that is a choice."""
    found = _MISTAKE.fullmatch(mistake)
    what, path = (found[1], tuple(filter(None, (found[2] or "").split(".")))) if found else (mistake, ())
    if unknown := _UNKNOWN_FIELD.fullmatch(what):
        section = _default(path)
        meant = get_close_matches(unknown[1], section.__struct_fields__, 1)
        return f"{'.'.join((*path, unknown[1]))}: no such setting" + (f"; {meant[0]} is one" if meant else "")
    what = what.replace(" | null`", "`")  # TOML has no null, and the environment neither
    kind = get_type_hints(type(_default(path[:-1]))).get(path[-1]) if path else None
    choices = ("true", "false") if kind is bool else get_args(kind) if get_origin(kind) is Literal else ()
    return f"{'.'.join(path) or 'settings'}: {what}" + (f"; it is one of {', '.join(choices)}" if choices else "")


def _from_text(path: tuple[str, ...], text: str) -> str | list[str]:
    """Give what a variable holds; where the setting is a list, its parts between commas."""
    return [part for each in text.split(",") if (part := each.strip())] if isinstance(_default(path), tuple) else text


def _default(path: tuple[str, ...]) -> Any:
    """Give what a setting, or a section, is by itself."""
    return functools.reduce(getattr, path, Settings())


def _put(values: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for name in path[:-1]:
        values = values.setdefault(name, {})
    values[path[-1]] = value
