"""`pipeline dead-letters`: what could not be processed, and how it comes back."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import orjson

from pipeline.cli.options import Moment, fail, printable, settings_file_option, stderr, stdout
from pipeline.settings.loading import load_settings

if TYPE_CHECKING:
    from pipeline.kafka.dead_letters import Wanted

F = TypeVar("F", bound=Callable[..., Any])

WIDTH_WITHOUT_TERMINAL = 200


def filter_options(function: F) -> F:
    """Add the options that say which dead letters are meant."""
    for option in (
        click.option("--until", type=Moment(), help="Failed before this time."),
        click.option("--since", type=Moment(), help="Failed at this time or later."),
        click.option("--project", type=click.IntRange(0), help="Of this project."),
        click.option("--reason", help="With this reason, such as internal or too_large."),
        click.option("--stage", help="That died in this stage."),
    ):
        function = option(function)
    return function


@click.group("dead-letters")
def dead_letters() -> None:
    """List, show and replay what could not be processed."""


@dead_letters.command("list")
@settings_file_option
@filter_options
@click.option("--replayed", "with_replayed", is_flag=True, help="Those that were replayed too.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="Lines at most; the sums count all.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, without a limit.")
def list_(settings_file: Path | None, limit: int, *, with_replayed: bool, as_json: bool, **filters: Any) -> None:
    """List dead letters, the sums by stage and reason last. Those that were replayed are left out."""
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
                table.add_row(*(Text(printable(str(cell))) for cell in cells))  # as it is: a detail may look like markup
    if as_json:
        return
    if not kinds:
        print("no dead letters")
        return
    # Without a terminal the table would be cut to 80 columns.
    (stdout if stdout.is_terminal else Console(width=WIDTH_WITHOUT_TERMINAL)).print(table)
    for (stage, reason), number in sorted(kinds.items()):
        stdout.print(f"{number:>8,}  {printable(stage)}: {printable(reason)}", markup=False)


@dead_letters.command()
@settings_file_option
@click.argument("place", metavar="PARTITION:OFFSET")
@click.option("--bytes", "raw", is_flag=True, help="Write the original bytes to stdout, nothing else.")
def show(settings_file: Path | None, place: str, *, raw: bool) -> None:
    """Show one dead letter: its headers, and as much of its content as can be read."""
    from pipeline.kafka.dead_letter_topic import DeadLetterTopic
    from pipeline.kafka.dead_letters import Wanted, parse_place
    from pipeline.kafka.errors import broker_errors

    parsed = parse_place(place)
    if parsed is None:
        fail(f"{place!r} is no place, such as 3:120")
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


@dead_letters.command()
@settings_file_option
@filter_options
@click.option("--place", "places", multiple=True, metavar="PARTITION:OFFSET", help="Only these; may be repeated.")
def replay(settings_file: Path | None, **filters: Any) -> None:
    """Bring dead letters back to the input topic, each once.

    May be interrupted and run again, with the same filters or others: what was replayed is marked on the topic.
    """
    from pipeline.kafka.dead_letter_topic import replay_letters
    from pipeline.kafka.errors import broker_errors

    with broker_errors("replay dead letters (run it again: what was replayed is marked)"):
        progress = replay_letters(
            load_settings(settings_file), _wanted(**filters), lambda done: stderr.print(f"{done.letters:,} replayed")
        )
    if not (progress.letters or progress.already or progress.cut):
        if filters["places"]:
            fail("there is no dead letter at any of these places")
        print("no dead letter matches")
        return
    print(f"replayed {progress.letters:,}; {progress.already:,} had been replayed before")
    if progress.cut:
        print(f"left {progress.cut:,} of which only the beginning was kept (truncated-from)")


def _wanted(
    *,
    stage: str | None,
    reason: str | None,
    project: int | None,
    since: float | None,
    until: float | None,
    places: tuple[str, ...] = (),
) -> Wanted:
    from pipeline.kafka.dead_letters import Wanted, parse_place

    chosen = set()
    for text in places:
        place = parse_place(text)
        if place is None:
            fail(f"{text!r} is no place, such as 3:120")
        chosen.add(place)
    return Wanted(stage, reason, project, since, until, frozenset(chosen) if chosen else None)


def _readable(body: bytes) -> str:
    """Print an ingest message with its payload as JSON, where it is that; else the beginning of the bytes."""
    import msgpack

    try:
        message = msgpack.unpackb(body, strict_map_key=False)
        payload = message.get("payload")
        if isinstance(payload, bytes):
            message["payload"] = orjson.loads(payload)
        return orjson.dumps(message, default=repr, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode()
    except Exception:  # noqa: BLE001 -- bytes that could not be processed: anything can be wrong with them
        return repr(body[:2_000]) + (" ..." if len(body) > 2_000 else "")
