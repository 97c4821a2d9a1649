"""`pipeline explain`: why each event groups as it does."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import orjson

from pipeline.cli.grouping_tree import print_comparison, print_explanation
from pipeline.cli.options import clock, fail, find_rules, inputs_argument, log_plainly, reading_options, settings_options
from pipeline.grouping.explain.explanation import compare
from pipeline.rule_tools.explanations import explain_records
from pipeline.rules.folder import load_rules
from pipeline.runtimes.recorded.readers import InputError, Inputs
from pipeline.settings.loading import load_settings
from pipeline.wiring.contexts import explain_context


@click.command()
@inputs_argument
@settings_options
@reading_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line for each event.")
@click.option(
    "--compare", "comparing", is_flag=True, help="Of two events: whether they group together, and why or what differs first."
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
    comparing: bool,
) -> None:
    """Show the component tree of each event's grouping: what contributed, what did not, and which rule decided it.

    Runs decode, normalize, scrub, symbolicate, enrich and group; no filters, quotas or duplicates, and stores nothing.
    Ends with 1 where the input holds no event that can be explained.

    \b
    Examples:
      pipeline explain event.json
      pipeline explain events.jsonl --json | jq .primary_hash
      pipeline explain --compare a.json b.json
    """
    log_plainly()
    settings = load_settings(settings_file, {("rules",): rules, ("artifacts", "url"): artifacts})
    moment = clock(now)
    context = explain_context(settings, load_rules(find_rules(settings)), now=moment)
    try:
        records = Inputs(inputs, now=moment, project_id=project, max_record_bytes=settings.input.max_record_bytes)
        explained = explain_records(records, context, on_lost=lambda line: print(line, file=sys.stderr))
        if comparing:
            pair = [explanation for explanation, _ in zip(explained, range(3), strict=False)]
            if len(pair) != 2:
                fail(f"--compare takes two events; the input holds {len(pair) if len(pair) < 2 else 'more'}")
            comparison = compare(*pair)
            if as_json:
                print(orjson.dumps(comparison.to_json()).decode())
            else:
                print_comparison(comparison)
            return
        explanation = None
        for explanation in explained:
            if as_json:
                print(orjson.dumps(explanation.to_json()).decode())
            else:
                print_explanation(explanation)
    except InputError as error:
        fail(str(error))
    if explanation is None:
        print("no event to explain", file=sys.stderr)
        sys.exit(1)
