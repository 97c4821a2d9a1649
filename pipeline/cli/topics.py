"""`pipeline topics`: the topics on the broker."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pipeline.cli.options import settings_file_option
from pipeline.settings.loading import load_settings


@click.group()
def topics() -> None:
    """Create and check the topics."""


@topics.command()
@settings_file_option
@click.option("--partitions", type=click.IntRange(1), default=8, show_default=True, help="Of each topic that is created.")
def create(settings_file: Path | None, partitions: int) -> None:
    """Create the topics that are missing, with their settings; harmless where they exist."""
    from pipeline.kafka.errors import broker_errors
    from pipeline.kafka.topics import create_topics

    with broker_errors("create topics"):
        created, existing = create_topics(load_settings(settings_file), partitions)
    for name in created:
        print(f"created {name}")
    for name in existing:
        print(f"exists  {name}")


@topics.command()
@settings_file_option
def check(settings_file: Path | None) -> None:
    """Hold the topics against what the workers need; exit 1 where something does not fit."""
    from pipeline.kafka.errors import broker_errors
    from pipeline.kafka.topics import check_topics

    with broker_errors("check topics"):
        complaints = list(check_topics(load_settings(settings_file)))
    for complaint in complaints:
        print(complaint)
    if complaints:
        sys.exit(1)
    print("all topics fit")
