"""`pipeline dead-letters`: list, show and replay the records on the dead-letter topic."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import orjson

from pipeline.cli.options import Moment, Rate, WholeNumber, fail, printable, settings_file_option, stderr, stdout
from pipeline.settings.loading import load_settings

if TYPE_CHECKING:
    from pipeline.kafka.dead_letters import Wanted

F = TypeVar("F", bound=Callable[..., Any])

WIDTH_WITHOUT_TERMINAL = 200


def filter_options(function: F) -> F:
    """Add the options that select dead letters."""
    for option in (
        click.option("--until", type=Moment(), help="Only those that failed before this time."),
        click.option("--since", type=Moment(), help="Only those that failed at this time or later."),
        click.option("--project", type=WholeNumber(0), metavar="ID", help="Only those of this project."),
        click.option("--reason", metavar="NAME", help="Only those with this reason, such as internal or too_large."),
        click.option("--stage", metavar="NAME", help="Only those that failed in this stage, such as decode or group."),
    ):
        function = option(function)
    return function


@click.group("dead-letters")
def dead_letters() -> None:
    """List, show and replay records that could not be processed.

    A dead letter is named by its partition and offset on the dead-letter topic, such as 3:120.
    """


@dead_letters.command("list", short_help="List dead letters, and count them by reason.")
@settings_file_option
@filter_options
@click.option("--replayed", "with_replayed", is_flag=True, help="Include those that were replayed before.")
@click.option("--limit", type=WholeNumber(), default=50, show_default=True, help="The most lines to print. The sums count all.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line for each, without a limit.")
def list_(settings_file: Path | None, limit: int, *, with_replayed: bool, as_json: bool, **filters: Any) -> None:
    """List dead letters that were not replayed, and count them by stage and reason.

    \b
    Examples:
      pipeline dead-letters list --reason internal --since 2026-03-01
      pipeline dead-letters list --json | jq .detail
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from pipeline.kafka.dead_letter_topic import DeadLetterTopic
    from pipeline.kafka.errors import broker_errors

    settings = load_settings(settings_file)
    table = Table(box=None, pad_edge=False)
    for title in ("place", "project", "stage", "reason", "first failure", "bytes", "detail"):
        table.add_column(title, overflow="ellipsis", no_wrap=title == "detail")
    kinds: dict[tuple[str, str], int] = {}
    with broker_errors("read dead letters"), closing(DeadLetterTopic(settings)) as topic:
        done = topic.replayed()
        for letter in topic.letters(_wanted(**filters)):
            if letter.place in done and not with_replayed:
                continue
            line = letter.to_json() | {"replayed": letter.place in done}
            if as_json:
                print(orjson.dumps(line).decode())
                continue
            kind = (line["stage"], line["reason"])
            kinds[kind] = kinds.get(kind, 0) + 1
            if table.row_count < limit:
                cells = (
                    line["place"],
                    line["project_id"] or "",
                    *kind,
                    line["first_failure"][:19],
                    line["bytes"],
                    line["detail"],
                )
                table.add_row(*(Text(printable(str(cell))) for cell in cells))
    if as_json:
        return
    if not kinds:
        print("no dead letters")
        return
    # rich cuts tables to 80 columns if the output is not a terminal.
    (stdout if stdout.is_terminal else Console(width=WIDTH_WITHOUT_TERMINAL)).print(table)
    for (stage, reason), number in sorted(kinds.items()):
        stdout.print(f"{number:>8,}  {printable(stage)}: {printable(reason)}", markup=False)


@dead_letters.command(short_help="Show one dead letter with its content.")
@settings_file_option
@click.argument("place", metavar="PARTITION:OFFSET")
@click.option("--bytes", "raw", is_flag=True, help="Write the original bytes to stdout and nothing else.")
def show(settings_file: Path | None, place: str, *, raw: bool) -> None:
    """Show one dead letter: why it failed, its headers, and as much of its content as can be read."""
    from pipeline.kafka.dead_letter_topic import DeadLetterTopic
    from pipeline.kafka.dead_letters import Wanted, parse_address
    from pipeline.kafka.errors import broker_errors

    parsed = parse_address(place)
    if parsed is None:
        fail(f"{place!r} is not a partition and offset, such as 3:120")
    with broker_errors("read dead letters"), closing(DeadLetterTopic(load_settings(settings_file))) as topic:
        letter = next(topic.letters(Wanted(places=frozenset({parsed}))), None)
    if letter is None:
        fail(f"there is no dead letter at {place}")
    if raw:
        sys.stdout.buffer.write(letter.body)
        return
    for name, value in letter.to_json().items():
        print(f"{name:14} {printable(str(value))}")
    print(_readable(letter.body))


@dead_letters.command(short_help="Send dead letters to the input topic again.")
@settings_file_option
@filter_options
@click.option("--place", "places", multiple=True, metavar="PARTITION:OFFSET", help="Only this one. May be repeated.")
@click.option("--limit", type=WholeNumber(), help="Replay at most this many; run the command again for the next ones.")
@click.option("--rate", type=Rate(), help="Dead letters per second.  [default: as fast as Kafka takes them]")
@click.option("--dry-run", is_flag=True, help="Only say what would be replayed.")
def replay(settings_file: Path | None, limit: int | None, rate: float | None, *, dry_run: bool, **filters: Any) -> None:
    """Send dead letters to the input topic again, each of them once.

    A dead letter that was replayed is marked as such on its topic. So the command can be interrupted and run again, with the
    same options or others, and replays none of them twice.

    \b
    Example: after a bug was fixed, replay what it made fail, ten of them first
      pipeline dead-letters replay --reason internal --stage group --dry-run
      pipeline dead-letters replay --reason internal --stage group --limit 10
      pipeline dead-letters replay --reason internal --stage group --rate 100
    """
    from pipeline.kafka.dead_letter_topic import preview_replay, replay_letters
    from pipeline.kafka.errors import broker_errors

    settings, wanted = load_settings(settings_file), _wanted(**filters)
    kinds: Counter[tuple[str, str]] = Counter()
    if dry_run:
        with broker_errors("read dead letters"):
            progress = preview_replay(
                settings, wanted, lambda letter: kinds.update([(letter.text("stage"), letter.text("reason"))]), limit=limit
            )
    else:
        with broker_errors("replay dead letters (run it again: none is replayed twice)"):
            progress = replay_letters(
                settings, wanted, lambda done: stderr.print(f"{done.letters:,} replayed"), limit=limit, per_second=rate
            )
    if not (progress.letters or progress.already or progress.cut):
        if filters["places"]:
            fail("there is no dead letter at any of these places")
        print("no dead letter matches")
        return
    for (stage, reason), number in sorted(kinds.items()):
        print(f"{number:>8,}  {printable(stage)}: {printable(reason)}")
    print(f"{'would replay' if dry_run else 'replayed'} {progress.letters:,}; {progress.already:,} had been replayed before")
    if progress.cut:
        print(f"left out {progress.cut:,} that were not kept whole (header truncated-from, or stage gateway)")
    if progress.has_more:
        print(f"more are left: --limit {limit} was reached")


def _wanted(
    *,
    stage: str | None,
    reason: str | None,
    project: int | None,
    since: float | None,
    until: float | None,
    places: tuple[str, ...] = (),
) -> Wanted:
    from pipeline.kafka.dead_letters import Wanted, parse_address
    from pipeline.stages import ERRORS

    stages = ["decode", *(known.name for known in ERRORS.stages), "worker"]
    if stage is not None and stage not in stages:
        meant = get_close_matches(stage, stages, 1)
        fail(f"there is no stage {stage!r}" + (f"; did you mean {meant[0]}?" if meant else f": it is one of {', '.join(stages)}"))
    chosen = set()
    for text in places:
        place = parse_address(text)
        if place is None:
            fail(f"{text!r} is not a partition and offset, such as 3:120")
        chosen.add(place)
    return Wanted(stage, reason, project, since, until, frozenset(chosen) if chosen else None)


def _readable(body: bytes) -> str:
    """Return an ingest message with its payload as JSON, or the beginning of the bytes if they are something else."""
    import msgpack

    try:
        message = msgpack.unpackb(body, strict_map_key=False)
        payload = message.get("payload")
        if isinstance(payload, bytes):
            message["payload"] = orjson.loads(payload)
        return orjson.dumps(message, default=repr, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode()
    except Exception:  # noqa: BLE001 -- these bytes could not be processed before, so anything can be wrong with them
        return repr(body[:2_000]) + (" ..." if len(body) > 2_000 else "")
