"""What `--help` prints: whole sentences, no line that is cut, no limits of numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from pipeline.cli import COMMANDS, cli


def commands() -> Iterator[list[str]]:
    context = click.Context(cli)
    for name in COMMANDS:
        yield [name]
        command = cli.get_command(context, name)
        if isinstance(command, click.Group):
            yield from ([name, inner] for inner in command.list_commands(context))


@pytest.mark.parametrize("command", [[], *commands()], ids=lambda command: " ".join(command) or "pipeline")
def test_help_is_whole_and_prints_no_limits(command: list[str]) -> None:
    result = CliRunner().invoke(cli, [*command, "--help"], terminal_width=80, catch_exceptions=False)

    assert result.exit_code == 0
    listed = result.output.partition("\nCommands:\n")[2]
    assert "..." not in listed, "a line of the list is cut: it needs a short_help"
    assert not re.search(r"\[?\d*<=?x|x>=?\d|RANGE", result.output)
    text = result.output.partition("\n\n  ")[2]
    assert text[:1].isupper(), "a command says in a sentence what it does"


def test_exit_codes_are_documented() -> None:
    output = CliRunner().invoke(cli, ["--help"]).output

    assert [line.split()[0] for line in output.partition("Exit codes:\n")[2].split("\n\n")[0].splitlines()] == [
        "0",
        "1",
        "2",
        "130",
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["replay", "x", "--out", "o", "--project", "0"], "0 is too small; the smallest possible value is 1"),
        (["replay", "x", "--out", "o", "--project", "9223372036854775808"], "the largest possible value is 9223372036854775807"),
        (["replay", "x", "--out", "o", "--batch-size", "1.5"], "'1.5' is not a whole number"),
        (["replay", "x", "--out", "o", "--now", "soon"], "'soon' is not a time in ISO 8601, such as"),
        (["load", "--rate", "0"], "'0' is not a number above 0"),
        (["load", "--rate", "nan"], "'nan' is not a number above 0"),
        (["dead-letters", "show", "seven"], "'seven' is not a partition and offset, such as 3:120"),
        (["offsets", "reset"], "give either --to or --at"),
    ],
)
def test_wrong_usage_is_said_and_ends_with_2(arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(cli, arguments)

    assert (result.exit_code, said in result.stderr) == (2, True), result.stderr
