"""Options that several commands share, and what they become."""

from __future__ import annotations

import logging
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

stderr = Console(stderr=True, highlight=False)
stdout = Console(highlight=False, soft_wrap=True, width=None if sys.stdout and sys.stdout.isatty() else 200)


_CONTROL_CHARACTERS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}


def printable(text: str) -> str:
    """Show control characters as their codes: a sender may put them into any text, and no terminal should obey them."""
    return text.translate(_CONTROL_CHARACTERS)


class Moment(click.ParamType):
    """An ISO 8601 time as epoch seconds; without a zone it is UTC."""

    name = "ISO8601"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parse; anything else is wrong usage."""
        if isinstance(value, float):
            return value
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no ISO 8601 time, such as 2026-03-01T12:00:00Z", param, ctx)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def inputs_argument(function: F) -> F:
    """INPUT...: the files and folders to read."""
    return click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")(function)


def settings_options(function: F) -> F:
    """Add the options that say where settings, rules and artifacts are."""
    for option in (
        click.option("--artifacts", metavar="DIR|URL", help="Where source maps are. Without it, frames stay minified."),
        click.option("--rules", metavar="DIR", help="The rules folder.  [default: ./rules, else the shipped rules]"),
        click.option("--settings", "settings_file", type=click.Path(path_type=Path), metavar="FILE", help="Settings in TOML."),
    ):
        function = option(function)
    return function


def settings_file_option(function: F) -> F:
    """Add --settings, for commands that use no rules."""
    return click.option("--settings", "settings_file", type=click.Path(path_type=Path), metavar="FILE", help="Settings in TOML.")(
        function
    )


def reading_options(function: F) -> F:
    """Add the options that say how recorded events are read."""
    for option in (
        click.option(
            "--now",
            type=Moment(),
            help="The clock of the run: with it, the same input gives the same bytes.  [default: the time]",
        ),
        click.option(
            "--project",
            type=click.IntRange(1, 2**63 - 1),
            metavar="ID",
            help="The project of every event, whatever the input says.",
        ),
    ):
        function = option(function)
    return function


def find_rules(settings: Settings) -> Path:
    """Return the rules folder. Say so on stderr if it is the shipped rules, because no folder is configured or found."""
    path = rules_path(settings.rules)
    if path == SHIPPED_RULES:
        print("note: no folder ./rules here; using the rules that come with the package (--rules names another)", file=sys.stderr)
    return path


def clock(now: float | None) -> float:
    """Give the run's one clock reading."""
    return time.time() if now is None else now


def fail(message: str) -> NoReturn:
    """End the command for wrong usage: one clear line on stderr, exit code 2."""
    print(f"pipeline: {message}", file=sys.stderr)
    sys.exit(2)


def log_plainly() -> None:
    """Send warnings of a one-shot command to stderr as plain lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(RepeatFilter())
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", handlers=[handler])
