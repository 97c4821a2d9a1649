"""`pipeline topics`: create and check the topics on the broker."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pipeline.cli.options import WholeNumber, settings_file_option
from pipeline.settings.loading import load_settings


@click.group()
def topics() -> None:
    """Create and check the Kafka topics that the settings name."""


@topics.command(short_help="Create the topics that are missing.")
@settings_file_option
@click.option(
    "--partitions",
    type=WholeNumber(),
    default=8,
    show_default=True,
    help="How many partitions each created topic gets.",
)
def create(settings_file: Path | None, partitions: int) -> None:
    """Create the topics that are missing, with the settings that the pipeline needs.

    Topics that exist are left as they are. If one has another number of partitions, the command says so.
    """
    from pipeline.kafka.errors import broker_errors
    from pipeline.kafka.topics import create_topics

    with broker_errors("create topics"):
        created, existing = create_topics(load_settings(settings_file), partitions)
    for name in created:
        print(f"created {name}")
    for name, number in existing.items():
        print(f"exists  {name}" + (f", but with {number} partitions and not {partitions}" if number != partitions else ""))


@topics.command(short_help="Compare the topics with what workers need.")
@settings_file_option
def check(settings_file: Path | None) -> None:
    """Compare the topics with what the workers need. Ends with 1 if something is missing or does not fit."""
    from pipeline.kafka.errors import broker_errors
    from pipeline.kafka.topics import check_topics

    with broker_errors("check topics"):
        complaints = list(check_topics(load_settings(settings_file)))
    for complaint in complaints:
        print(complaint)
    if complaints:
        sys.exit(1)
    print("all topics fit")
