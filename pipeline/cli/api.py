"""`pipeline api`: serves what is stored over HTTP, until it is told to end."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pipeline.cli.options import WholeNumber, find_rules, settings_options
from pipeline.settings.loading import load_settings

WEB_PORT = 6069


@click.command()
@settings_options
@click.option("--listen", metavar="HOST:PORT", help="The address that tools ask.  [default: 127.0.0.1:3001]")
@click.option("--clickhouse", "url", metavar="URL", help="chdb:///path, or http[s]://user:password@host:8123/database.")
@click.option(
    "--web-port",
    type=WholeNumber(1, 65_535),
    metavar="PORT",
    help=f"The port of /health, /ready, /metrics.  [default: {WEB_PORT}]",
)
def api(
    settings_file: Path | None,
    rules: str | None,
    artifacts: str | None,
    listen: str | None,
    url: str | None,
    web_port: int | None,
) -> None:
    """Serve what the store holds, under /api/0/, to sentry-cli, `sentry`, the MCP server, Grafana and programs.

    ClickHouse is named by --clickhouse, or PIPELINE_CLICKHOUSE_URL. Its tables are made by `pipeline store`. Only one process at
    a time can open a chdb folder; `pipeline serve` is store and API in one.

    Without PIPELINE_API_TOKENS, only programs on this machine are served, through a loopback address. docs/api.md lists what
    can be asked.

    SIGTERM ends the API within 10 seconds, with exit code 0.

    \b
    Examples:
      PIPELINE_CLICKHOUSE_URL=http://127.0.0.1:8123/pipeline pipeline api
      SENTRY_URL=http://127.0.0.1:3001 SENTRY_AUTH_TOKEN=x sentry-cli issues list --org org1 --project 1
    """
    from pipeline.api.process import LISTEN, run_api
    from pipeline.clickhouse.errors import RefusedError
    from pipeline.http.server import parse_listen
    from pipeline.observability.logs import set_up_logs
    from pipeline.observability.prometheus_api import ApiMetrics
    from pipeline.observability.sentry_reports import start_reporting
    from pipeline.rules.folder import RulesFolder
    from pipeline.wiring.api import make_api
    from pipeline.wiring.store import connect_clickhouse

    flags = {
        ("rules",): rules,
        ("artifacts", "url"): artifacts,
        ("api", "listen"): listen,
        ("clickhouse", "url"): url,
        ("web", "port"): web_port,
    }
    settings = load_settings(settings_file, flags, web_port=WEB_PORT)
    parse_listen(settings.api.listen, LISTEN)
    metrics = ApiMetrics()
    set_up_logs(settings.reports)
    start_reporting(settings.reports, metrics.report_suppressed)
    try:
        client = connect_clickhouse(settings)
    except RefusedError as error:
        click.echo(error, err=True)
        sys.exit(1)
    sys.exit(run_api(make_api(settings, client, RulesFolder(find_rules(settings)), metrics)))
