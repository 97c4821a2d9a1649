"""`pipeline export`: events from Kafka into a file that replay, explain and `rules diff` read."""

from __future__ import annotations

import sys
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import click
import msgpack
import orjson

from pipeline.cli.options import LARGEST_ID, Moment, WholeNumber, fail, settings_file_option, stderr
from pipeline.settings.loading import load_settings

SHOWN_EVERY = 10_000


@click.command(short_help="Write events from Kafka into a file.")
@settings_file_option
@click.argument("topic", type=click.Choice(["stored", "sent"]))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="The file.  [default: stdout]")
@click.option("--since", type=Moment(), help="Only records that Kafka got at this time or later.")
@click.option("--until", type=Moment(), help="Only records that Kafka got before this time.")
@click.option("--project", type=WholeNumber(1, LARGEST_ID), metavar="ID", help="Only events of this project.")
@click.option("--limit", type=WholeNumber(), help="At most this many.")
def export(
    settings_file: Path | None,
    topic: str,
    out: Path | None,
    since: float | None,
    until: float | None,
    project: int | None,
    limit: int | None,
) -> None:
    """Write the events that are on a topic now into a file, so that rules can be tried on them.

    \b
    stored  what workers published: a JSON message a line, for a file named *.jsonl
    sent    what came in, unchanged: a stream of MessagePack, for a file named *.msgpack

    Nothing on the broker changes, and no consumer group is used. How far back a topic reaches is its retention.

    \b
    Examples:
      pipeline export sent --since 2026-03-01T12:00:00Z --project 42 --out last.msgpack
      pipeline rules diff rules/ new-rules/ last.msgpack
      pipeline export stored --limit 1000 | pipeline explain -
    """
    from pipeline.kafka.errors import broker_errors
    from pipeline.kafka.topic_reader import TopicReader

    settings = load_settings(settings_file)
    if out is None and topic == "sent" and sys.stdout.isatty():
        fail("a stream of MessagePack is not for a terminal: name a file with --out")
    name = settings.kafka.events_out if topic == "stored" else settings.kafka.events_in
    written = 0
    with (
        broker_errors(f"export {name}"),
        closing(TopicReader(settings, name)) as reader,
        nullcontext(sys.stdout.buffer) if out is None else out.open("wb") as file,
    ):
        starts = reader.first() if since is None else reader.first_since(since)
        for message in reader.messages(starts):
            value = message.value() or b""
            if until is not None and message.timestamp()[1] >= until * 1e3:
                continue
            if project is not None and _project_of(topic, value) != project:
                continue
            file.write(value + b"\n" if topic == "stored" else value)
            written += 1
            if written % SHOWN_EVERY == 0 and stderr.is_terminal:
                stderr.print(f"{written:,} written")
            if written == limit:
                break
    stderr.print(f"{written:,} events of {name}" + ("" if out is None else f" in {out}"), markup=False)


def _project_of(topic: str, value: bytes) -> Any:
    """Return the project of a message, or None if it cannot be read."""
    try:
        message = orjson.loads(value)[2] if topic == "stored" else msgpack.unpackb(value, strict_map_key=False)
        return message.get("project_id")
    except (ValueError, LookupError, AttributeError, TypeError, msgpack.UnpackException):
        return None
