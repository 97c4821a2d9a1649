"""`pipeline load`: sends test events to the input topic at a set rate."""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from pipeline.cli.options import Rate, WholeNumber, fail, find_rules, log_plainly, project_option, settings_file_option, stderr
from pipeline.settings.loading import load_settings
from pipeline.settings.schema import Settings


@click.command()
@click.argument("inputs", nargs=-1, metavar="[INPUT...]")
@settings_file_option
@click.option("--rate", type=Rate(), help="Events per second.  [default: as fast as Kafka takes them]")
@click.option("--count", type=WholeNumber(), help="The number of events.  [default: the input once, or 1000 generated events]")
@project_option
@click.option(
    "--kinds", type=WholeNumber(), default=50, show_default=True, help="How many different failures the generated events have."
)
@click.option("--seed", type=int, default=1, show_default=True, help="The seed of the generated events.")
def load(
    inputs: tuple[str, ...],
    settings_file: Path | None,
    rate: float | None,
    count: int | None,
    project: int | None,
    kinds: int,
    seed: int,
) -> None:
    """Send events to the input topic: recorded ones (INPUT as for `pipeline replay`), or generated ones without INPUT.

    Each event gets a new id and the present time, so that none is a duplicate of another. With --count, recorded events are
    repeated until there are as many.

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
            fail("the input holds no event")
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
            on_progress=lambda done, seconds: stderr.print(f"{done:,} arrived, {done / max(seconds, 1e-9):,.0f} events/s"),
        )
    print(f"{sent:,} events to {settings.kafka.events_in}")


def _recorded(inputs: tuple[str, ...], settings: Settings, project: int | None) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield the events of recorded input with their projects. Records that hold no event are skipped."""
    from pipeline.model.item import Item
    from pipeline.rules.folder import load_rules
    from pipeline.runtimes.recorded.readers import InputError, Inputs
    from pipeline.stages.decode import decode_record
    from pipeline.wiring.contexts import explain_context

    now = time.time()
    ctx = explain_context(settings, load_rules(find_rules(settings)), now=now)
    try:
        for record in Inputs(inputs, now=now, project_id=project, max_record_bytes=settings.input.max_record_bytes):
            for item in decode_record(record, ctx):
                if isinstance(item, Item):
                    yield item.event, item.scope.project_id
    except InputError as error:
        fail(str(error))
