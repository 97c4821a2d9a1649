"""`pipeline explain`: shows why events group as they do."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import orjson

from pipeline.cli.grouping_tree import print_comparison, print_explanation
from pipeline.cli.options import (
    clock,
    fail,
    find_rules,
    inputs_argument,
    log_plainly,
    reading_options,
    report_lost,
    settings_options,
)
from pipeline.cli.rule_reports import print_effects
from pipeline.grouping.explain.comparison import compare
from pipeline.rule_tools.effects import prepare_events
from pipeline.rule_tools.explanations import explain_item, explain_records
from pipeline.rules.folder import load_rules
from pipeline.runtimes.recorded.readers import InputError, Inputs
from pipeline.settings.loading import load_settings
from pipeline.wiring.contexts import explain_context


@click.command()
@inputs_argument
@settings_options
@reading_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line for each event.")
@click.option("--pii", is_flag=True, help="Show also which filter would drop the event, and what scrubbing takes out of it.")
@click.option(
    "--compare", "comparing", is_flag=True, help="Show whether two events are one group, and why or what differs first."
)
def explain(
    inputs: tuple[str, ...],
    settings_file: Path | None,
    rules: str | None,
    artifacts: str | None,
    project: int | None,
    now: float | None,
    *,
    as_json: bool,
    pii: bool,
    comparing: bool,
) -> None:
    """Show the tree of values that each event groups by: which contribute, which do not and why, and which rule decided it.

    INPUT is as for `pipeline replay`. The stages up to grouping are run, but no filters, quotas or search for duplicates, and
    nothing is stored. A star marks what contributes to the hash.

    Ends with 1 if the input holds no event that can be explained.

    \b
    Examples:
      pipeline explain event.json
      pipeline explain events.jsonl --json | jq .primary_hash
      pipeline explain event.json --pii
      pipeline explain --compare a.json b.json
    """
    log_plainly()
    settings = load_settings(settings_file, {("rules",): rules, ("artifacts", "url"): artifacts})
    moment = clock(now)
    context = explain_context(settings, load_rules(find_rules(settings)), now=moment)
    try:
        records = Inputs(inputs, now=moment, project_id=project, max_record_bytes=settings.input.max_record_bytes)
        if comparing:
            explained = explain_records(records, context, on_lost=report_lost)
            pair = [explanation for explanation, _ in zip(explained, range(3), strict=False)]
            if len(pair) != 2:
                fail(f"--compare needs two events, and the input holds {len(pair) if len(pair) < 2 else 'more'}")
            comparison = compare(*pair)
            if as_json:
                print(orjson.dumps(comparison.to_json()).decode())
            else:
                print_comparison(comparison)
            return
        found = 0
        for event in (event for record in records for event in prepare_events(record, context, on_lost=report_lost)):
            found += 1
            explanation = explain_item(event.item, context)
            if as_json:
                print(orjson.dumps(explanation.to_json() | (event.to_json() if pii else {})).decode())
                continue
            if pii:
                print_effects(event)
            print_explanation(explanation)
    except InputError as error:
        fail(str(error))
    if not found:
        print("no event to explain", file=sys.stderr)
        sys.exit(1)
