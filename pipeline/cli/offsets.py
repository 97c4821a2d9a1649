"""`pipeline offsets`: where the workers stand on the input topic, in Kafka and in Redis."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import orjson

from pipeline.cli.options import Moment, fail, settings_file_option, stdout
from pipeline.settings.loading import load_settings


@click.group()
def offsets() -> None:
    """Show or reset where the workers stand."""


@offsets.command()
@settings_file_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def show(settings_file: Path | None, *, as_json: bool) -> None:
    """Show each partition's offsets beside what Redis knows; exit 1 where Redis is ahead, and workers would stand still."""
    from rich.table import Table

    from pipeline.kafka.errors import broker_errors
    from pipeline.kafka.offsets import GroupOffsets
    from pipeline.quotas.redis_floors import read_floors
    from pipeline.wiring.redis import connect_redis

    settings = load_settings(settings_file)
    redis = connect_redis(settings)
    group = GroupOffsets(settings.kafka, settings.kafka.events_in, settings.kafka.consumer_group)
    with broker_errors("read offsets"):
        floors, standing = read_floors(redis, group.topic_id()), group.read()
    table = Table(box=None, pad_edge=False)
    for title in ("partition", "first", "committed", "end", "lag", "redis floor", ""):
        table.add_column(title, justify="right" if title else "left")
    behind = False
    for partition, (first, committed, end) in standing.items():
        floor = floors.get(partition)
        at = first if committed is None else committed
        is_ahead = floor is not None and floor > at
        behind = behind or is_ahead
        line = {"partition": partition, "first": first, "committed": committed, "end": end, "lag": end - at, "redis_floor": floor}
        if as_json:
            print(orjson.dumps(line | {"redis_is_ahead": is_ahead}).decode())
            continue
        numbers = ("-" if number is None else str(number) for number in line.values())
        table.add_row(*numbers, "redis is ahead: pipeline offsets reset" if is_ahead else "")
    if not as_json:
        stdout.print(table)
    if behind:
        sys.exit(1)


@offsets.command()
@settings_file_option
@click.option("--to", "where", help="earliest, latest, committed (Redis follows Kafka), or an offset.")
@click.option("--at", "moment", type=Moment(), help="The first records that arrived at this time or later.")
@click.option("--partition", "only", type=click.IntRange(0), multiple=True, help="Only this one; may be repeated.")
@click.option("--yes", is_flag=True, help="Do it; without this the command says what it would do.")
def reset(settings_file: Path | None, where: str | None, moment: float | None, only: tuple[int, ...], *, yes: bool) -> None:
    """Move the workers' offsets, in Kafka and in Redis. All workers must have left.

    Records that are read again are stored again; their quotas are charged again where the event's id was forgotten meanwhile.
    """
    from pipeline.kafka.errors import broker_errors
    from pipeline.kafka.offsets import GroupOffsets
    from pipeline.quotas.redis_floors import forget_floors
    from pipeline.wiring.redis import connect_redis

    if (where is None) == (moment is None):
        fail("one of --to and --at is needed")
    settings = load_settings(settings_file)
    redis = connect_redis(settings)
    group = GroupOffsets(settings.kafka, settings.kafka.events_in, settings.kafka.consumer_group)
    with broker_errors("read offsets"):
        topic_id = group.topic_id()
        everywhere = group.read()
        found = group.at_time(moment) if moment is not None else {}
    if missing := set(only) - everywhere.keys():
        fail(f"{settings.kafka.events_in} has {len(everywhere)} partitions, and none with number {min(missing)}")
    standing = {partition: place for partition, place in everywhere.items() if not only or partition in only}
    if moment is not None:
        target = {partition: found[partition] for partition in standing}
    elif where in {"earliest", "latest", "committed"}:
        target = {}
        for partition, (first, committed, end) in standing.items():
            target[partition] = {"earliest": first, "committed": first if committed is None else committed, "latest": end}[where]
    elif where is not None and where.isdecimal():
        target = {partition: min(max(int(where), place.first), place.end) for partition, place in standing.items()}
    else:
        fail(f"--to {where!r} is none of earliest, latest, committed or an offset")
    for partition, offset in target.items():
        committed = standing[partition].committed
        print(f"partition {partition}: {'-' if committed is None else committed} -> {offset}")
    if not yes:
        print("nothing was changed; --yes does it")
        return
    # Kafka first: stopped in between, workers find Redis ahead, say so and stand still, and this can be run again.
    with broker_errors("move offsets (all workers must have left the group)"):
        group.write(target)
    forgotten = forget_floors(redis, topic_id, set(target))
    print(f"done; Redis forgot {forgotten} ledgers")
