"""`pipeline load`: events to the input topic at a set rate, for trying things out."""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from pipeline.cli.options import fail, find_rules, log_plainly, settings_file_option, stderr
from pipeline.settings.loading import load_settings
from pipeline.settings.schema import Settings


@click.command()
@click.argument("inputs", nargs=-1, metavar="[INPUT...]")
@settings_file_option
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Events per second.  [default: all at once]")
@click.option("--count", type=click.IntRange(1), help="How many.  [default: the input once, or 1000 made-up ones]")
@click.option("--project", type=click.IntRange(1), help="The project of every event.")
@click.option("--kinds", type=click.IntRange(1), default=50, show_default=True, help="Different failures among made-up events.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of made-up events.")
def load(
    inputs: tuple[str, ...],
    settings_file: Path | None,
    rate: float | None,
    count: int | None,
    project: int | None,
    kinds: int,
    seed: int,
) -> None:
    """Produce recorded events (INPUT as for replay) or made-up ones to the input topic.

    Each has a new event id and the present time, so that none is a duplicate; with --count recorded ones are repeated.

    \b
    Examples:
      pipeline load --rate 100 --count 10000
      pipeline load tests/fixtures/recorded --rate 10
    """
    from pipeline.kafka.errors import broker_errors
    from pipeline.kafka.load import produce
    from pipeline.runtimes.generated_events import generate_events, ingest_message

    log_plainly()
    settings = load_settings(settings_file)
    if inputs:
        recorded = list(_recorded(inputs, settings, project))
        if not recorded:
            fail("the input holds no events")
        number = count or len(recorded)
        events: Iterator[tuple[dict[str, Any], int]] = itertools.islice(itertools.cycle(recorded), number)
    else:
        number = count or 1_000
        events = ((event, project or 1) for event in itertools.islice(generate_events(seed, kinds=kinds), number))

    fresh = (ingest_message({**event, "event_id": uuid.uuid4().hex, "timestamp": time.time()}, owner) for event, owner in events)
    with broker_errors(f"produce to {settings.kafka.events_in}"):
        sent = produce(
            fresh,
            settings.kafka,
            per_second=rate,
            on_progress=lambda done, seconds: stderr.print(f"{done:,} sent, {done / max(seconds, 1e-9):,.0f} events/s"),
        )
    print(f"{sent:,} events to {settings.kafka.events_in}")


def _recorded(inputs: tuple[str, ...], settings: Settings, project: int | None) -> Iterator[tuple[dict[str, Any], int]]:
    """Read recorded input as replay does; gives events with their project. What holds no event is left out."""
    from pipeline.model.item import Item
    from pipeline.rules.folder import load_rules
    from pipeline.runtimes.recorded.readers import InputError, Inputs
    from pipeline.stages.decode import decode
    from pipeline.wiring.contexts import explain_context

    now = time.time()
    ctx = explain_context(settings, load_rules(find_rules(settings)), now=now)
    try:
        for record in Inputs(inputs, now=now, project_id=project, max_record_bytes=settings.input.max_record_bytes):
            for item in decode(record, ctx):
                if isinstance(item, Item):
                    yield item.event, item.scope.project_id
    except InputError as error:
        fail(str(error))
