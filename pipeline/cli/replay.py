"""`pipeline replay`: takes recorded events from files through all stages."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Self

import click
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from pipeline.cli.options import (
    WholeNumber,
    clock,
    fail,
    find_rules,
    inputs_argument,
    log_plainly,
    reading_options,
    settings_options,
    stderr,
)
from pipeline.cli.tally_table import print_tally
from pipeline.model.errors import GiveUpError
from pipeline.rules.folder import load_rules
from pipeline.runtimes.recorded.readers import InputError, Inputs
from pipeline.runtimes.replay import Tally
from pipeline.runtimes.replay import replay as run_replay
from pipeline.runtimes.replay_files import OutputError, ReplayFiles
from pipeline.settings.loading import load_settings
from pipeline.stages import CHANGED, ERRORS
from pipeline.wiring.contexts import replay_context
from pipeline.wiring.replay import replay_batch_records, replay_ledger

PLAIN_LINE_EVERY_RECORDS = 50_000


@click.command()
@inputs_argument
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="The folder that the four output files are written to.",
)
@settings_options
@reading_options
@click.option("--batch-size", type=WholeNumber(), help="The number of records that are processed together.  [default: 1000]")
@click.option(
    "--only-changed",
    is_flag=True,
    help="Of stored events, write only those that come out otherwise; count the others as unchanged.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON instead of a table.")
def replay(
    inputs: tuple[str, ...],
    out: Path,
    settings_file: Path | None,
    rules: str | None,
    artifacts: str | None,
    project: int | None,
    now: float | None,
    batch_size: int | None,
    *,
    only_changed: bool,
    as_json: bool,
) -> None:
    """Take recorded events through all stages, and account for each of them.

    INPUT is a file or a folder of files: .jsonl (each line is an event, an ingest message, or a storage message as in the
    events.jsonl of a replay), .json (one event), .msgpack (a stream of ingest messages) or .envelope (what an SDK sent). Each may
    be compressed (.gz, .zst). `-` is standard input. Events that do not say which project they belong to need --project.

    \b
    The output folder holds afterwards:
      events.jsonl        the events, one storage message a line
      outcomes.jsonl      what was rejected and why, and how many events were accepted
      dead_letters.jsonl  what could not be processed, with its bytes and the reason
      summary.json        the totals

    Ends with 0 if every record is accounted for, even if all were rejected. The quotas are counted in a Redis server that is
    started for the run, unless the settings name one.

    \b
    Examples:
      pipeline replay recorded/ --out out/
      pipeline replay events.jsonl.zst --project 42 --now 2026-03-01T12:00:00Z --out out/
      pipeline replay stored/events.jsonl --artifacts artifacts/ --only-changed --out out/    # the maps came late
      zcat events.jsonl.gz | head -1000 | pipeline replay - --project 42 --out out/
    """
    log_plainly()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    flags = {("rules",): rules, ("artifacts", "url"): artifacts, ("batch", "max_records"): batch_size}
    settings = load_settings(settings_file, flags)
    snapshot = load_rules(find_rules(settings))
    try:
        records = Inputs(inputs, now=clock(now), project_id=project, max_record_bytes=settings.input.max_record_bytes)
        with ReplayFiles(out) as outputs, replay_ledger(settings) as (ledger, check_redis), _Progress(records) as progress:
            tally = run_replay(
                records,
                replay_context(settings, snapshot, ledger, now=records.now),
                outputs,
                max_records=replay_batch_records(settings, snapshot),
                max_bytes=settings.batch.max_bytes,
                on_batch=progress.show,
                check_services=check_redis,
                order=CHANGED if only_changed else ERRORS,
            )
    except (InputError, OutputError, GiveUpError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        print("interrupted: nothing was written", file=sys.stderr)
        sys.exit(130)
    else:
        for path in records.skipped:
            print(f"skipped, because input has other suffixes: {path}", file=sys.stderr)
        print_tally(tally, out, as_json=as_json)


class _Progress:
    """Shows progress on stderr: a bar in a terminal, elsewhere a line every `PLAIN_LINE_EVERY_RECORDS` records."""

    def __init__(self, records: Inputs) -> None:
        self._position = records.position
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._last_line = 0
        if stderr.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=stderr, transient=True)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task("replay", total=self._position.total_bytes)
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, tally: Tally) -> None:
        """Show the progress of the run. Called after each batch."""
        if self._bar is not None and self._task is not None:
            text = f"{tally.records:,} records, {tally.rate():,.0f}/s"
            self._bar.update(self._task, completed=self._position.read_bytes, description=text)
        elif tally.records - self._last_line >= PLAIN_LINE_EVERY_RECORDS:
            self._last_line = tally.records
            share = 100 * self._position.read_bytes / max(1, self._position.total_bytes)
            print(f"{tally.records:,} records ({share:.0f} %), {tally.rate():,.0f}/s", file=sys.stderr)
