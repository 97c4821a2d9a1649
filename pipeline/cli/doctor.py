"""`pipeline doctor`: examines an installation and says what to do."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import orjson

from pipeline.cli.options import find_rules, log_plainly, printable, settings_options, stdout
from pipeline.settings.loading import load_settings
from pipeline.wiring.doctor import PARTS, Health, examine

_COLOURS = {Health.OK: "green", Health.REMARK: "yellow", Health.WRONG: "red"}


@click.command(short_help="Examine the installation, and say what to do.")
@settings_options
@click.option("--only", "parts", type=click.Choice(list(PARTS)), multiple=True, help="Examine this part alone; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of what was found.")
def doctor(
    settings_file: Path | None, rules: str | None, artifacts: str | None, parts: tuple[str, ...], *, as_json: bool
) -> None:
    """Examine rules, topics, Redis, source maps, disks and services with the settings of this installation.

    Prints a line for each thing that was found, and below it what to do. Nothing is changed. Ends with 1 if anything is wrong.

    \b
    Examples:
      pipeline doctor --settings settings.toml
      pipeline doctor --only redis --only topics
      pipeline doctor --json | jq '.[] | select(.state == "wrong")'
    """
    log_plainly()
    settings = load_settings(settings_file, {("rules",): rules, ("artifacts", "url"): artifacts})
    findings = []
    for finding in examine(settings, find_rules(settings), parts):
        findings.append(finding)
        if not as_json:
            colour = _COLOURS[finding.state]
            stdout.print(f"[{colour}]{finding.state:<7}[/] {finding.part:<12} ", end="")
            stdout.print(printable(finding.text), markup=False)
            if finding.advice and finding.state is not Health.OK:
                stdout.print(f"{'':21}{printable(finding.advice)}", style="dim", markup=False)
    if as_json:
        print(orjson.dumps([finding._asdict() for finding in findings], option=orjson.OPT_INDENT_2).decode())
    if any(finding.state is Health.WRONG for finding in findings):
        sys.exit(1)
