"""`pipeline store`: brings events and outcomes from Kafka into ClickHouse."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import click

from pipeline.cli.options import WholeNumber, settings_file_option, stdout
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
