"""`pipeline gateway`: accepts what SDKs send, until it is told to end."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pipeline.cli.options import WholeNumber, find_rules, settings_options
from pipeline.settings.loading import load_settings

WEB_PORT = 6067


@click.command()
@settings_options
@click.option("--listen", metavar="HOST:PORT", help="The address that SDKs send to.  [default: 127.0.0.1:3000]")
@click.option("--spool", metavar="DIR", help="The folder that keeps what was accepted until Kafka has it.  [default: spool]")
@click.option(
    "--web-port",
    type=WholeNumber(1, 65_535),
    metavar="PORT",
    help=f"The port of /health, /ready, /metrics.  [default: {WEB_PORT}]",
)
def gateway(
    settings_file: Path | None,
    rules: str | None,
    artifacts: str | None,
    listen: str | None,
    spool: str | None,
    web_port: int | None,
) -> None:
    """Accept events from SDKs over HTTP, make them durable, and bring them to Kafka.

    A request is answered with 200 once it is on disk, synced. From there it reaches the input topic exactly once, even if
    processes are killed. The gateway starts and accepts while Kafka is away. The topics must exist: `pipeline topics create`
    makes them.

    An SDK's DSN is http://KEY@HOST:PORT/PROJECT. The keys of a project are those of rules/projects/PROJECT/project.toml; a
    project that lists none accepts every key of 32 letters and digits.

    SIGTERM ends the gateway within 10 seconds, with exit code 0. Two gateways need two spools.

    \b
    Example:
      PIPELINE_KAFKA_BROKERS=127.0.0.1:9092 pipeline gateway --listen 0.0.0.0:3000 --spool /var/lib/pipeline/spool
    """
    from pipeline.gateway.process import LISTEN, run_gateway
    from pipeline.http.server import parse_listen
    from pipeline.observability.logs import set_up_logs
    from pipeline.observability.prometheus_gateway import GatewayMetrics
    from pipeline.observability.sentry_reports import start_reporting
    from pipeline.rules.folder import RulesFolder
    from pipeline.wiring.gateway import make_gateway

    flags = {
        ("rules",): rules,
        ("artifacts", "url"): artifacts,
        ("gateway", "listen"): listen,
        ("gateway", "spool"): spool,
        ("web", "port"): web_port,
    }
    settings = load_settings(settings_file, flags, web_port=WEB_PORT)
    parse_listen(settings.gateway.listen, LISTEN)
    metrics = GatewayMetrics()
    set_up_logs(settings.reports)
    start_reporting(settings.reports, metrics.report_suppressed)
    sys.exit(run_gateway(make_gateway(settings, RulesFolder(find_rules(settings)), metrics)))
