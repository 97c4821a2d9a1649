"""`pipeline rules`: check rule files, and preview a change of them on recorded events."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import click
import orjson

from pipeline.cli.options import (
    WholeNumber,
    artifacts_option,
    clock,
    fail,
    find_rules,
    log_plainly,
    reading_options,
    report_lost,
    rules_option,
    settings_file_option,
    stdout,
)
from pipeline.cli.rule_reports import print_rules_diff, print_unused
from pipeline.model.errors import InvalidRulesError, RuleError
from pipeline.rule_tools.case_file import LocatedCase, Subject, case_files, parse_cases
from pipeline.rule_tools.cases import base_rules, run_cases
from pipeline.rule_tools.rules_diff import diff_rules
from pipeline.rule_tools.suspicious_rules import doubled_keys, suspicions, unkept_retentions
from pipeline.rule_tools.unused_rules import unused_rules
from pipeline.rules.folder import load_rules
from pipeline.runtimes.recorded.readers import InputError, Inputs
from pipeline.settings.loading import load_settings
from pipeline.wiring.contexts import explain_context

_folder = click.Path(exists=True, file_okay=False, path_type=Path)
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group()
def rules() -> None:
    """Check rules, and preview a change of them on recorded events before it is used."""


@rules.command(short_help="Copy the rules in force into a new folder.")
@click.argument("folder", type=click.Path(exists=False, path_type=Path), metavar="DIR")
@rules_option
@settings_file_option
def copy(folder: Path, rules: str | None, settings_file: Path | None) -> None:
    """Copy the rules that commands use here into the new folder DIR, for instance those that the package ships.

    \b
    Example: own the rules instead of using the shipped ones
      pipeline rules copy rules
    """
    source = find_rules(load_settings(settings_file, {("rules",): rules}))
    if folder.exists():
        fail(f"{folder} is there already; name a folder that is not")
    shutil.copytree(source, folder)
    print(f"copied {source} to {folder}", file=sys.stderr)


@rules.command(short_help="Show what a change of rules would do to events.")
@click.argument("old", type=_folder)
@click.argument("new", type=_folder)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@artifacts_option
@settings_file_option
@reading_options
@_json
@click.option("--limit", type=WholeNumber(), default=20, show_default=True, help="The most changes to print.")
@click.option("--exit-code", is_flag=True, help="End with 1 if anything changes.")
def diff(
    old: Path,
    new: Path,
    inputs: tuple[str, ...],
    artifacts: str | None,
    settings_file: Path | None,
    project: int | None,
    now: float | None,
    limit: int,
    *,
    as_json: bool,
    exit_code: bool,
) -> None:
    """Process recorded events by the rules folders OLD and NEW, and show what would change.

    It shows which groups would merge, split or move, which events filters would drop, and what scrubbing would remove. INPUT
    is as for `pipeline replay`. Filters drop nothing here, so that the groups of all events are compared.

    \b
    Example: copy the rules, edit the copy, and see what the edit would do
      cp -r rules /tmp/new && edit /tmp/new/default/fingerprints.rules
      pipeline rules diff rules /tmp/new events.jsonl
      pipeline rules diff rules /tmp/new events.jsonl --json | jq '.changes[] | {kind, events}'
      pipeline rules diff rules /tmp/new events.jsonl --exit-code || echo "something changes"

    Ends with 1 if the input holds no event that can be compared.

    While a project changes its grouping strategy, its groups keep their ids until the day previous_until. Give a later day
    with --now to see what happens then.
    """
    log_plainly()
    settings = load_settings(settings_file, {("artifacts", "url"): artifacts})
    moment = clock(now)
    before, after = (explain_context(settings, load_rules(folder), now=moment) for folder in (old, new))
    try:
        records = Inputs(inputs, now=moment, project_id=project, max_record_bytes=settings.input.max_record_bytes)
        found = diff_rules(records, before, after, on_lost=report_lost)
    except InputError as error:
        fail(str(error))
    if not found.groups.events:
        print("no event to compare", file=sys.stderr)
        sys.exit(1)
    if as_json:
        print(orjson.dumps(found.to_json(), option=orjson.OPT_INDENT_2).decode())
    else:
        print_rules_diff(found, limit)
    if exit_code and found.is_changed:
        sys.exit(1)


@rules.command(short_help="Check rule files and run their cases.")
@click.argument("folder", type=_folder, metavar="DIR")
@click.argument("inputs", nargs=-1, metavar="[INPUT]...")
@artifacts_option
@settings_file_option
@reading_options
@_json
def check(
    folder: Path,
    inputs: tuple[str, ...],
    artifacts: str | None,
    settings_file: Path | None,
    project: int | None,
    now: float | None,
    *,
    as_json: bool,
) -> None:
    """Parse all rule files of the rules folder DIR, and run the cases beside them (*.cases.yaml).

    Every mistake is listed with file, line, and what was expected. Warnings point out what is probably not meant as written, such
    as a matcher that can never hold or a variable that does not exist. With recorded events (INPUT as for `pipeline replay`), the
    rules that match none of them are listed too.

    Ends with 1 if there is a mistake or a case fails. Warnings do not count.

    \b
    Examples:
      pipeline rules check rules
      pipeline rules check rules events.jsonl
    """
    log_plainly()
    settings = load_settings(settings_file, {("artifacts", "url"): artifacts})
    moment = clock(now)
    errors: list[RuleError] = []
    cases: list[tuple[Subject, list[LocatedCase]]] = []
    for subject, file in case_files(folder):
        try:
            cases.append((subject, parse_cases(file)))
        except InvalidRulesError as error:
            errors += error.errors
    try:
        loaded = load_rules(folder)
    except InvalidRulesError as error:
        _end_with([*error.errors, *errors], as_json=as_json)
    context = explain_context(settings, loaded, now=moment)
    bases_only = replace(context, rules=base_rules(folder, loaded))
    for subject, located in cases:
        errors += run_cases(located, bases_only if subject == "bases" else context, subject)
    if errors:
        _end_with(errors, as_json=as_json)
    count = sum(len(located) for _, located in cases)
    groupers = [loaded.default.grouper, *(rules_.grouper for rules_ in loaded.projects.values())]
    every = {(rule.file, rule.line): rule for grouper in groupers for rule in grouper.rules}
    warnings = [*suspicions(every.values()), *unkept_retentions(loaded, folder), *doubled_keys(loaded, folder)]
    unused = None
    if inputs:
        try:
            records = Inputs(inputs, now=moment, project_id=project, max_record_bytes=settings.input.max_record_bytes)
            unused = unused_rules(every, records, context, on_lost=report_lost)
        except InputError as error:
            fail(str(error))
    if as_json:
        body: dict[str, object] = {"errors": [], "warnings": list(map(_fields, warnings)), "rules": len(every), "cases": count}
        if unused is not None:
            body["untouched"] = [rule._asdict() for rule in unused]
        print(orjson.dumps(body, option=orjson.OPT_INDENT_2).decode())
    else:
        for warning in warnings:
            print(f"warning: {warning}", file=sys.stderr)
        stdout.print(f"[green]ok[/]  {len(every):,} rules, {len(loaded.projects):,} projects of their own, {count:,} cases")
        if unused is not None:
            print_unused(unused, len(every))


def _end_with(errors: list[RuleError], *, as_json: bool) -> NoReturn:
    """Print every mistake and end the command with 1."""
    if as_json:
        body = {"errors": list(map(_fields, errors))}
        print(orjson.dumps(body, option=orjson.OPT_INDENT_2).decode())
    for error in errors:
        print(error, file=sys.stderr)
    print(f"{len(errors)} mistake{'s' if len(errors) > 1 else ''}", file=sys.stderr)
    sys.exit(1)


def _fields(error: RuleError) -> dict[str, object]:
    return {name: getattr(error, name) for name in ("file", "line", "column", "message", "text")}
