"""`pipeline store`: brings events and outcomes from Kafka into ClickHouse."""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path
from typing import Any

import click

from pipeline.cli.options import Moment, WholeNumber, fail, settings_file_option, stdout
from pipeline.model.errors import BrokerError
from pipeline.settings.loading import load_settings

log = logging.getLogger(__name__)

WEB_PORT = 6068
BROKER_ANSWERS_WITHIN_S = 3.0

url_option = click.option(
    "--clickhouse", "url", metavar="URL", help="chdb:///path, or http[s]://user:password@host:8123/database."
)


@click.group(invoke_without_command=True)
@settings_file_option
@url_option
@click.option(
    "--web-port",
    type=WholeNumber(1, 65_535),
    metavar="PORT",
    help=f"The port of /health, /ready, /metrics.  [default: {WEB_PORT}]",
)
@click.pass_context
def store(context: click.Context, settings_file: Path | None, url: str | None, web_port: int | None) -> None:
    """Bring events and outcomes from Kafka into ClickHouse, each exactly once.

    Kafka and ClickHouse are named in the settings (PIPELINE_KAFKA_BROKERS, PIPELINE_CLICKHOUSE_URL). The topics must exist:
    `pipeline topics create` makes them. The tables are brought up to date at the start. Messages that cannot become a row go to
    the topics events-dlq and outcomes-dlq.

    Several stores share the partitions of a topic. A chdb folder has one owner: start one store with it.

    SIGTERM ends the store within 10 seconds, with exit code 0.

    \b
    Example:
      PIPELINE_CLICKHOUSE_URL=http://127.0.0.1:8123/pipeline pipeline store
    """
    flags: dict[tuple[str, ...], Any] = {("clickhouse", "url"): url, ("web", "port"): web_port}
    context.obj = load_settings(settings_file, flags, web_port=WEB_PORT)
    if context.invoked_subcommand is None:
        _run(context)


def _run(context: click.Context) -> None:
    from pipeline.clickhouse.errors import RefusedError
    from pipeline.http.server import check_port
    from pipeline.kafka.errors import broker_errors
    from pipeline.kafka.topics import find_missing, store_topics
    from pipeline.observability.logs import set_up_logs
    from pipeline.observability.prometheus_store import StoreMetrics
    from pipeline.observability.sentry_reports import start_reporting
    from pipeline.runtimes.worker.heap import keep_heap
    from pipeline.store.migrations import migrate
    from pipeline.store.process import StoreProcess
    from pipeline.wiring.store import connect_clickhouse, make_store

    keep_heap()
    settings = context.obj
    check_port(settings.web.host, settings.web.port, "web.port")
    metrics = StoreMetrics()
    set_up_logs(settings.reports)
    start_reporting(settings.reports, metrics.report_suppressed)
    missing = []
    try:
        with broker_errors("list the topics"):
            missing = find_missing(settings, store_topics(settings.kafka), BROKER_ANSWERS_WITHIN_S)
    except BrokerError as error:
        log.warning("the store starts and waits for Kafka", extra={"why": str(error)})
    if missing:
        raise BrokerError(f"{missing[0]}: there is no such topic (pipeline topics check names what is missing)")
    try:
        client = connect_clickhouse(settings)
        migrate(client)
    except RefusedError as error:
        click.echo(error, err=True)
        sys.exit(1)
    sys.exit(StoreProcess(make_store(settings, client, metrics), settings.web).run())


@store.command()
@click.pass_context
def migrate(context: click.Context) -> None:
    """Bring the tables up to date. It may be repeated, and interrupted at any moment."""
    from pipeline.clickhouse.errors import RefusedError
    from pipeline.store.migrations import migrate
    from pipeline.wiring.store import connect_clickhouse

    try:
        applied = migrate(connect_clickhouse(context.obj))
    except RefusedError as error:
        click.echo(error, err=True)
        sys.exit(1)
    for migration in applied:
        stdout.print(f"applied {migration.name}")
    stdout.print("the tables are up to date")


@store.command(short_help="Look for lost or miscounted events.")
@click.option("--since", type=Moment(), help="Look for the messages from this time on.  [default: the last hour]")
@click.option("--tables-only", is_flag=True, help="Compare the tables with their roll-ups, and leave Kafka alone.")
@click.pass_context
def check(context: click.Context, since: float | None, tables_only: bool) -> None:
    """Compare the tables with their roll-ups, and the topic of events with the table.

    Messages that the store has not come to yet are left out. Exit code 1 if something is missing or counted wrongly.
    """
    from pipeline.kafka.errors import broker_errors
    from pipeline.store.check import compare_tables, compare_topic
    from pipeline.store.migrations import find_missing
    from pipeline.wiring.store import connect_clickhouse, stored_messages

    settings = context.obj
    client = connect_clickhouse(settings)
    missing = find_missing(client)
    if missing:
        fail(f"{missing[0].name} was not applied: pipeline store migrate")
    is_good = True
    for comparison in compare_tables(client):
        is_good &= comparison.is_good
        mark = "ok  " if comparison.is_good else "BAD "
        note = f" ({comparison.why_more})" if comparison.is_good and comparison.stored != comparison.compared else ""
        print(f"{mark}{comparison.what}: {comparison.stored:,} and {comparison.compared:,}{note}")
    if not tables_only:
        now = time.time()
        with broker_errors(f"read {settings.kafka.events_out}"):
            found = compare_topic(client, stored_messages(settings, now - 3_600 if since is None else since), now)
        is_good &= not found.missing_count
        mark = "BAD " if found.missing_count else "ok  "
        print(f"{mark}{settings.kafka.events_out}: {found.messages:,} messages, {found.stored:,} rows, ", end="")
        print(f"{found.unusable:,} dead letters, {found.expired:,} past their retention, {found.missing_count:,} without a row")
        for name in found.missing:
            print(f"    project/event without a row: {name}")
    sys.exit(0 if is_good else 1)
