"""`pipeline offsets`: show and move the workers' offsets on the input topic, which both Kafka and Redis keep."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import orjson

from pipeline.cli.options import Moment, WholeNumber, fail, settings_file_option, stdout
from pipeline.settings.loading import load_settings


@click.group()
def offsets() -> None:
    """Show or move the workers' offsets on the input topic."""


@offsets.command(short_help="Show the offsets that Kafka and Redis hold.")
@settings_file_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line for each partition.")
def show(settings_file: Path | None, *, as_json: bool) -> None:
    """Show for each partition the first, the committed and the end offset, the lag, and the offset that Redis holds.

    The lag is the number of offsets between the committed one and the end that the topic still has.

    Ends with 1 if workers cannot go on in a partition until `pipeline offsets reset` was run: Redis is ahead of Kafka, or the
    committed offset is past the end, because the topic was deleted and created again, or lost records.
    """
    from rich.table import Table

    from pipeline.kafka.errors import broker_errors
    from pipeline.kafka.offsets import GroupOffsets
    from pipeline.quotas.redis_floors import read_floors
    from pipeline.wiring.redis import connect_redis

    settings = load_settings(settings_file)
    redis = connect_redis(settings)
    group = GroupOffsets(settings.kafka, settings.kafka.events_in, settings.kafka.consumer_group)
    with broker_errors("read offsets"):
        floors, partitions = read_floors(redis, group.topic_id()), group.read()
    table = Table(box=None, pad_edge=False)
    for title in ("partition", "first", "committed", "end", "lag", "redis floor", ""):
        table.add_column(title, justify="right" if title else "left")
    is_stuck = False
    for partition, standing in partitions.items():
        first, committed, end = standing
        floor = floors.get(partition)
        is_ahead = floor is not None and floor > standing.next
        is_past_end = committed is not None and committed > end
        is_stuck |= is_ahead or is_past_end
        lag = max(0, end - max(first, standing.next))
        line = {"partition": partition, "first": first, "committed": committed, "end": end, "lag": lag, "redis_floor": floor}
        notes = []
        if is_past_end:
            notes.append("the committed offset is past the end: pipeline offsets reset")
        if is_ahead:
            notes.append("redis is ahead: pipeline offsets reset")
        if committed is not None and committed < first:
            notes.append(f"{first - committed:,} unread offsets were deleted")
        if as_json:
            more = {"redis_is_ahead": is_ahead} | ({"notes": notes} if notes else {})
            print(orjson.dumps(line | more).decode())
            continue
        numbers = ("-" if number is None else str(number) for number in line.values())
        table.add_row(*numbers, "; ".join(notes))
    if not as_json:
        stdout.print(table)
    if is_stuck:
        sys.exit(1)


@offsets.command(short_help="Move the offsets in Kafka and in Redis.")
@settings_file_option
@click.option(
    "--to",
    "where",
    metavar="WHERE",
    help="earliest, latest, an offset, or committed: Kafka's offsets stay and only Redis is brought in line.",
)
@click.option("--at", "moment", type=Moment(), help="The first record that arrived at this time or later.")
@click.option("--partition", "only", type=WholeNumber(0), multiple=True, help="Only this partition. May be repeated.")
@click.option("--yes", is_flag=True, help="Move the offsets. Without it, the command prints what it would do.")
def reset(settings_file: Path | None, where: str | None, moment: float | None, only: tuple[int, ...], *, yes: bool) -> None:
    """Move the workers' offsets, in Kafka and in Redis. Stop all workers first.

    Records that are read again are stored again. They are charged to their quotas again, unless Redis still remembers the ids of
    their events.

    \b
    Examples:
      pipeline offsets reset --to committed           (prints what would be done)
      pipeline offsets reset --to committed --yes
      pipeline offsets reset --at 2026-03-01T12:00:00Z --partition 3 --yes
    """
    from pipeline.kafka.errors import broker_errors
    from pipeline.kafka.offsets import GroupOffsets
    from pipeline.quotas.redis_floors import reset_floors
    from pipeline.wiring.redis import connect_redis

    if (where is None) == (moment is None):
        fail("give either --to or --at")
    settings = load_settings(settings_file)
    redis = connect_redis(settings)
    group = GroupOffsets(settings.kafka, settings.kafka.events_in, settings.kafka.consumer_group)
    with broker_errors("read offsets"):
        topic_id = group.topic_id()
        everywhere = group.read()
        found = group.at_time(moment) if moment is not None else {}
    if missing := set(only) - everywhere.keys():
        fail(f"{settings.kafka.events_in} has {len(everywhere)} partitions, and none with number {min(missing)}")
    partitions = {number: offsets for number, offsets in everywhere.items() if not only or number in only}
    if moment is not None:
        target = {number: found[number] for number in partitions}
    elif where in {"earliest", "latest", "committed"}:
        target = {}
        for partition, (first, committed, end) in partitions.items():
            target[partition] = {"earliest": first, "committed": first if committed is None else committed, "latest": end}[where]
    elif where is not None and where.isdecimal():
        target = {number: min(max(int(where), offsets.first), offsets.end) for number, offsets in partitions.items()}
    else:
        fail(f"--to {where!r} is not known: give earliest, latest, committed or an offset")
    for partition, offset in target.items():
        committed = partitions[partition].committed
        print(f"partition {partition}: {'-' if committed is None else committed} -> {offset}")
    if not yes:
        print("nothing was changed; --yes moves the offsets")
        return
    # Kafka first. If the command is stopped in between, workers find Redis ahead and wait, and the command can be run again.
    with broker_errors("move offsets (all workers must have left the group)"):
        group.write(target)
    before = {number: offsets.first if offsets.committed is None else offsets.committed for number, offsets in partitions.items()}
    changed = reset_floors(redis, topic_id, before, target)
    print(f"done; {changed} ledgers in Redis were brought in line")
