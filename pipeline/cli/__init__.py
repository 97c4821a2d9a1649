"""The command line. A command's file is imported when it is called, so that `pipeline --help` is quick."""

from __future__ import annotations

import importlib
import io
import sys

import click

from pipeline import __version__
from pipeline.model.errors import BrokerError, InvalidRulesError, RetryableError

COMMANDS = {
    "replay": "Take recorded events from files through all stages, with no broker.",
    "explain": "Show why events group as they do.",
    "worker": "Run a stream processor on Kafka.",
    "rules": "Check rules, and try a change of them on recorded events.",
    "groups": "Merge or split groups by hand, so that later events follow.",
    "sourcemaps": "Add, list and check source maps.",
    "quotas": "Show what each quota has used, and give back.",
    "topics": "Create and check the topics.",
    "dead-letters": "List, show and replay what could not be processed.",
    "offsets": "Show or reset where the workers stand.",
    "load": "Produce events to the input topic at a set rate.",
    "config": "Show every setting in force, and where it comes from.",
}
"""Command to the line that `--help` shows; the file and the object in it have the command's name."""

USAGE_ERROR = 2
INTERRUPTED = 130


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 -- click's signature
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(importlib.import_module(f"pipeline.cli.{name}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 -- click's signature
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def cli() -> None:
    """Stream processors for error events: from what an SDK sent to what the storage topic holds, exactly once.

    \b
    Try it on a file:    pipeline replay events.jsonl --out out/
    See why events group: pipeline explain events.jsonl
    """


def main() -> None:
    """Run the command line. Unusable rules and settings end it with 2, services and outputs that fail with 1; stderr says why.

    Ctrl-C ends it with 130.
    """
    from pipeline.model.errors import SettingsError

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        sys.exit(cli(standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except InvalidRulesError as error:
        for mistake in error.errors:
            print(mistake, file=sys.stderr)
        sys.exit(USAGE_ERROR)
    except BrokerError as error:
        print(f"kafka: {error}", file=sys.stderr)
        sys.exit(1)
    except RetryableError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        print(f"{error.strerror or error}" + (f": {error.filename}" if error.filename else ""), file=sys.stderr)
        sys.exit(1)
    except SettingsError as error:
        print(f"settings: {error}", file=sys.stderr)
        sys.exit(USAGE_ERROR)
