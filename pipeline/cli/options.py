"""Options that several commands share, the types of their values, and the two consoles."""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
from rich.console import Console

from pipeline.observability.log_repeats import RepeatFilter
from pipeline.rules.shipped import SHIPPED_RULES, rules_path
from pipeline.settings.schema import Settings

F = TypeVar("F", bound=Callable[..., Any])

LARGEST_ID = 2**63 - 1
"""The largest project id. Snuba reads ids as signed 64-bit numbers."""

stderr = Console(stderr=True, highlight=False)
stdout = Console(highlight=False, soft_wrap=True, width=None if sys.stdout and sys.stdout.isatty() else 200)

_CONTROL_CHARACTERS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}


def printable(text: str) -> str:
    """Return the text with control characters replaced by their codes.

    Texts of events are printed in a terminal, and their senders must not be able to control it.
    """
    return text.translate(_CONTROL_CHARACTERS)


class WholeNumber(click.ParamType):
    """A whole number with limits. Unlike `click.IntRange`, it does not print its limits in the help."""

    name = "N"

    def __init__(self, least: int = 1, most: int | None = None) -> None:
        self.least = least
        self.most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Parse the text of an option. Anything but a number within the limits is wrong usage."""
        try:
            number = int(value)
        except ValueError:
            self.fail(f"{value!r} is not a whole number", param, ctx)
        if number < self.least:
            self.fail(f"{number} is too small; the smallest possible value is {self.least}", param, ctx)
        if self.most is not None and number > self.most:
            self.fail(f"{number} is too large; the largest possible value is {self.most}", param, ctx)
        return number


class Rate(click.ParamType):
    """A number above 0, such as events per second."""

    name = "N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parse the text of an option. Anything but a number above 0 is wrong usage."""
        try:
            rate = float(value)
        except ValueError:
            rate = math.nan
        if not 0 < rate < math.inf:
            self.fail(f"{value!r} is not a number above 0", param, ctx)
        return rate


class Moment(click.ParamType):
    """A point in time in ISO 8601, as seconds since 1970. Without a time zone it is taken as UTC."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parse the text of an option. Anything but an ISO 8601 time is wrong usage."""
        if isinstance(value, float):
            return value
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a time in ISO 8601, such as 2026-03-01T12:00:00Z", param, ctx)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


NO_PROJECT = "no project is named"
"""The text in the dead letter of an event that names no project."""


def report_lost(line: str) -> None:
    """Print why an event was left out to stderr, and what helps if its project is missing."""
    print(line + ("; --project ID gives it one" if NO_PROJECT in line else ""), file=sys.stderr)


inputs_argument = click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
"""The files and folders that a command reads; `-` is standard input."""

settings_file_option = click.option(
    "--settings", "settings_file", type=click.Path(path_type=Path), metavar="FILE", help="A settings file in TOML."
)
rules_option = click.option("--rules", metavar="DIR", help="The rules folder.  [default: ./rules, else the shipped rules]")
artifacts_option = click.option(
    "--artifacts", metavar="DIR|URL", help="The store of source maps. Without one, minified frames stay minified."
)
project_option = click.option(
    "--project", type=WholeNumber(1, LARGEST_ID), metavar="ID", help="The project of all events, in place of the input's."
)
now_option = click.option(
    "--now",
    type=Moment(),
    help="The time of the run, such as 2026-03-01T12:00:00Z. With the same time, the same input gives the same output.  "
    "[default: the present]",
)


def settings_options(function: F) -> F:
    """Add the options that name the settings file, the rules folder and the artifact store."""
    return settings_file_option(rules_option(artifacts_option(function)))


def reading_options(function: F) -> F:
    """Add the options that say how recorded events are read."""
    return project_option(now_option(function))


def _note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)


def find_rules(settings: Settings, say: Callable[[str], None] = _note) -> Path:
    """Return the rules folder. `say` is told if it is the shipped one, because no folder is configured or found."""
    path = rules_path(settings.rules)
    if path == SHIPPED_RULES:
        say("no folder ./rules here; using the rules that come with the package (--rules names another)")
    return path


def clock(now: float | None) -> float:
    """Return the time of the run in seconds since 1970: the value of `--now`, else the present."""
    return time.time() if now is None else now


def fail(message: str) -> NoReturn:
    """Print one line to stderr and end the command with 2, the exit code for wrong usage."""
    print(f"pipeline: {message}", file=sys.stderr)
    sys.exit(2)


def log_plainly() -> None:
    """Print warnings and errors to stderr as plain lines, for commands that people wait for."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(RepeatFilter())
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", handlers=[handler])
