"""The command line. The file of a command is imported when the command is called, so that `pipeline --help` is quick."""

from __future__ import annotations

import importlib
import io
import sys

import click

from pipeline import __version__
from pipeline.model.errors import BrokerError, InvalidRulesError, RetryableError, SettingsError

COMMANDS = {
    "replay": "Take recorded events from files through all stages.",
    "serve": "Run everything in one process, with nothing else to start.",
    "explain": "Show why events group as they do.",
    "gateway": "Accept events from SDKs over HTTP and bring them to Kafka.",
    "worker": "Process events from Kafka.",
    "api": "Serve what is stored to sentry-cli and other tools over HTTP.",
    "store": "Bring events and outcomes from Kafka into ClickHouse.",
    "rules": "Check rules, and preview a change of them.",
    "groups": "Merge or split groups by hand.",
    "sourcemaps": "Add, list, check and remove source maps.",
    "quotas": "Show what quotas have used, or give it back.",
    "redis": "Check that Redis keeps what it acknowledges.",
    "topics": "Create and check the Kafka topics.",
    "dead-letters": "List, show and replay records that failed.",
    "export": "Write events from Kafka into a file.",
    "offsets": "Show or move the workers' Kafka offsets.",
    "load": "Send test events to Kafka at a set rate.",
    "doctor": "Examine the installation, and say what to do.",
    "config": "Show all settings and where each comes from.",
}
"""Each command with its line in `pipeline --help`. The command's file, and the object in it, have the command's name."""

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
    """Process error events: from what an SDK sent to what the storage reads, exactly once.

    \b
    Process a file of events:      pipeline replay events.jsonl --out out/
    See why events are one group:  pipeline explain events.jsonl
    Try a change of the rules:     pipeline rules diff rules/ new-rules/ events.jsonl

    Settings come from a file (--settings), then from environment variables, then from options; the later wins.
    `pipeline config show` prints all of them.

    \b
    Exit codes:
      0    the command did what it was asked to do
      1    it did not, or a check found something wrong; stderr says what
      2    wrong usage, or settings or rules that cannot be read
      130  interrupted by Ctrl-C
    """


def main() -> None:
    """Run the command line and end the process with an exit code that `pipeline --help` lists."""
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
