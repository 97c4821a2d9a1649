"""`pipeline serve`: everything behind one command, with nothing else to start."""

from __future__ import annotations

import sys
import uuid
from pathlib import Path
from typing import Any

import click

from pipeline.cli.options import WholeNumber, settings_options
from pipeline.settings.loading import load_settings
from pipeline.settings.schema import Settings

WEB_PORT = 6070
FIRST_PROJECT = 1
USUAL_KEY = uuid.uuid5(uuid.NAMESPACE_DNS, "event-pipeline").hex
"""A project that names no keys takes every one. The same one is shown at each start, so that it can stay in a configuration."""


@click.command()
@settings_options
@click.option("--data", metavar="DIR", help="The folder that everything is kept in.  [default: data]")
@click.option(
    "--listen", metavar="HOST:PORT", help="The address that SDKs send to and the API answers at.  [default: 127.0.0.1:3000]"
)
@click.option(
    "--web-port",
    type=WholeNumber(1, 65_535),
    metavar="PORT",
    help=f"The port of /health, /ready, /metrics.  [default: {WEB_PORT}]",
)
def serve(
    settings_file: Path | None,
    rules: str | None,
    artifacts: str | None,
    data: str | None,
    listen: str | None,
    web_port: int | None,
) -> None:
    """Accept events, process and store them, and answer questions about them: all in one place.

    Nothing else has to run. Everything is kept in one folder: what was accepted (spool), the database (chdb), the counters
    (redis), source maps (artifacts) and events that could not be processed (dead_letters.jsonl). One process uses the folder at
    a time. An event that was answered with 200 is stored exactly once, even if the process is killed.

    The rules are those of ./rules if there is such a folder, else those of the package.

    SIGTERM ends it within 10 seconds, with exit code 0.

    \b
    Example:
      pipeline serve --data /var/lib/pipeline --listen 0.0.0.0:3000
    """
    from pipeline.clickhouse.errors import RefusedError
    from pipeline.gateway.process import LISTEN, run_gateway
    from pipeline.http.server import parse_listen
    from pipeline.observability.logs import set_up_logs
    from pipeline.observability.prometheus_gateway import GatewayMetrics
    from pipeline.observability.sentry_reports import start_reporting
    from pipeline.runtimes.worker.heap import keep_heap
    from pipeline.wiring.serve import make_serve, serve_settings

    flags: dict[tuple[str, ...], Any] = {
        ("rules",): rules,
        ("artifacts", "url"): artifacts,
        ("serve", "data"): data,
        ("gateway", "listen"): listen,
        ("web", "port"): web_port,
    }
    keep_heap()
    settings = serve_settings(load_settings(settings_file, flags, web_port=WEB_PORT))
    parse_listen(settings.gateway.listen, LISTEN)
    metrics = GatewayMetrics()
    set_up_logs(settings.reports)
    start_reporting(settings.reports, metrics.report_suppressed)
    try:
        gateway = make_serve(
            settings, metrics, lambda own: _greet(own, gateway.rules.current.project(FIRST_PROJECT).project.keys)
        )
    except RefusedError as error:
        click.echo(error, err=True)
        sys.exit(1)
    sys.exit(run_gateway(gateway))


def _greet(settings: Settings, keys: Any) -> None:
    """Print what a first user needs: a DSN, and a line that sends an event."""
    from pipeline.http.server import parse_listen

    _, port = parse_listen(settings.gateway.listen, "gateway.listen")
    key = next((key.public_key for key in keys if key.is_active), USUAL_KEY)
    dsn = f"http://{key}@127.0.0.1:{port}/{FIRST_PROJECT}"
    event = '{"message":"hello","level":"info"}'
    print(f"DSN of project {FIRST_PROJECT}:  {dsn}")
    print(f"a first event:     curl -d '{event}' 'http://127.0.0.1:{port}/api/{FIRST_PROJECT}/store/?sentry_key={key}'")
    print(f"the issues:        curl http://127.0.0.1:{port}/api/0/projects/org1/{FIRST_PROJECT}/issues/", flush=True)
