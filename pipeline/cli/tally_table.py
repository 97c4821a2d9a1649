"""The table at the end of a replay."""

from __future__ import annotations

import sys
from pathlib import Path

import orjson
from rich.table import Table

from pipeline.cli.options import stdout
from pipeline.runtimes.replay import Tally

_NO_PROJECT = ("decode", "project_id")
"""Stage and reason of a record whose events belong to no project."""


def print_tally(tally: Tally, out: Path, *, as_json: bool) -> None:
    """Print the totals of a run as a table, or as JSON as in `summary.json`.

    If no record has become an event or an outcome, the last line says so; with JSON it goes to stderr.
    """
    failure = _failure(tally)
    if as_json:
        print(orjson.dumps(tally.to_json(), option=orjson.OPT_INDENT_2).decode())
        if failure is not None:
            print(failure, file=sys.stderr)
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_row("records", f"{tally.records:,}")
    table.add_row("events", f"{tally.events:,}", style="green")
    table.add_row("groups", f"{tally.groups:,}")
    for kind, number in sorted(tally.errors.items()):
        table.add_row(f"events with an error: {kind}", f"{number:,}", style="yellow")
    for (fate, reason), quantity in sorted(tally.outcomes.items(), key=str):
        table.add_row(f"outcome {fate}" + (f": {reason}" if reason else ""), f"{quantity:,}")
    for (stage, reason), number in sorted(tally.dead_letters.items()):
        table.add_row(f"dead letter in {stage}: {reason}", f"{number:,}", style="red")
    if not tally.dead_letters:
        table.add_row("dead letters", "0")
    total = sum(tally.stage_s.values()) or 1.0
    for stage, seconds in tally.stage_s.items():
        table.add_row(f"time in {stage}", f"{seconds * 1e3:,.1f} ms  {100 * seconds / total:3.0f} %", style="dim")
    stdout.print(table)
    if failure is None and _NO_PROJECT in tally.dead_letters:
        stdout.print("events that name no project need --project ID", style="red", markup=False)
    stdout.print(f"written to {out}", markup=False)
    if failure is not None:
        stdout.print(failure, style="red", markup=False)


def _failure(tally: Tally) -> str | None:
    """Return a sentence if the run has produced nothing but dead letters, or nothing at all."""
    if not tally.records:
        return "no record was read: the input is empty"
    number = sum(tally.dead_letters.values())
    if tally.events or tally.outcomes or not number:
        return None
    what = f"all {number:,} records became dead letters" if number > 1 else "the only record became a dead letter"
    failure = f"no event was stored: {what}; dead_letters.jsonl says why"
    if _NO_PROJECT in tally.dead_letters:
        failure += ". Events that name no project need --project ID"
    return failure
