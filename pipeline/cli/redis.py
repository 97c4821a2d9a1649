"""`pipeline redis`: whether the configured Redis keeps what it acknowledges."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pipeline.cli.options import settings_file_option
from pipeline.settings.loading import load_settings


@click.group()
def redis() -> None:
    """Check the Redis that the settings name."""


@redis.command(short_help="Check that Redis keeps what it acknowledges.")
@settings_file_option
def check(settings_file: Path | None) -> None:
    """Check that Redis keeps what it acknowledges: that it evicts nothing, and writes to disk before it answers.

    Prints what is wrong and ends with 1, or prints "ok". Remarks are worth knowing but no faults. A worker makes the same
    checks at its start and every 30 seconds, and logs what is wrong.
    """
    from pipeline.redis.durability import read_durability
    from pipeline.wiring.redis import connect_redis

    servers = read_durability(connect_redis(load_settings(settings_file)))
    problems = [problem for server in servers for problem in server.problems()]
    for problem in problems:
        print(f"wrong   {problem}")
    for server in servers:
        for remark in server.remarks():
            print(f"remark  {remark}")
    if problems:
        sys.exit(1)
    print("ok      nothing is evicted, and every write is on disk before it is acknowledged")
