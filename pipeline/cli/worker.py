"""`pipeline worker`: processes events from Kafka until it is told to end."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from pipeline.cli.options import WholeNumber, find_rules, settings_options
from pipeline.settings.loading import load_settings

if TYPE_CHECKING:
    from pipeline.runtimes.worker.suspects import Supervised
    from pipeline.settings.schema import Settings

log = logging.getLogger(__name__)

BROKER_ANSWERS_WITHIN_S = 2.0
"""How long a starting worker waits for a broker to tell whether topics are missing. After that it starts without knowing."""


@click.command()
@settings_options
@click.option("--web-port", type=WholeNumber(1, 65_535), metavar="PORT", help="The port of the web views.  [default: 6066]")
@click.option(
    "--slot",
    metavar="NAME",
    help="A name that is unique among the workers and stays over a restart, such as the pod's. Restarts are quicker with it.",
)
def worker(settings_file: Path | None, rules: str | None, artifacts: str | None, web_port: int | None, slot: str | None) -> None:
    """Read raw events from Kafka, run all stages, and commit the results together with the offsets.

    Kafka and Redis are named in the settings (PIPELINE_KAFKA_BROKERS, PIPELINE_REDIS_URL). The topics must exist:
    `pipeline topics create` makes them. While Kafka or Redis is away, a worker waits, and /ready says for what. The web views are
    /health, /ready, /metrics, /counts and /rules.

    SIGTERM ends the worker after the present batch, with exit code 0. A second SIGTERM ends it at once; no record is lost then
    either, since what was not committed is read again.

    A record that kills or hangs its worker three times becomes a dead letter. For that, the command starts the worker as a
    child process, and a new one when it dies of a record. A kill from outside is blamed on no record.

    \b
    Example:
      PIPELINE_REDIS_URL=redis://127.0.0.1:6379/0 pipeline worker --rules rules/
    """
    from pipeline.observability.logs import set_up_logs
    from pipeline.runtimes.worker.supervisor import supervise

    settings = load_settings(
        settings_file,
        {("rules",): rules, ("artifacts", "url"): artifacts, ("web", "port"): web_port, ("kafka", "slot"): slot},
    )
    set_up_logs(settings.reports)
    supervised = supervise(settings.supervisor.hang_s) if settings.supervisor.enabled else None
    run(settings, supervised)


def run(settings: Settings, supervised: Supervised | None) -> NoReturn:
    """Run a worker in this process. Its libraries are loaded here, so that its supervisor does not hold them."""
    from pipeline.kafka.errors import broker_errors
    from pipeline.kafka.topics import find_missing, worker_topics
    from pipeline.model.errors import BrokerError
    from pipeline.observability.prometheus_metrics import WorkerMetrics
    from pipeline.observability.sentry_reports import start_reporting
    from pipeline.rules.folder import RulesFolder
    from pipeline.runtimes.worker.faust_process import check_port, run_process
    from pipeline.runtimes.worker.heap import keep_heap
    from pipeline.wiring.worker import make_worker

    keep_heap()
    check_port(settings.web)
    metrics = WorkerMetrics()
    start_reporting(settings.reports, metrics.report_suppressed)
    rules_folder = RulesFolder(find_rules(settings, log.warning))
    missing = []
    try:
        with broker_errors("list the topics"):
            missing = find_missing(settings, worker_topics(settings.kafka), BROKER_ANSWERS_WITHIN_S)
    except BrokerError as error:
        log.warning("the worker starts and waits for Kafka", extra={"why": str(error)})
    if missing:
        raise BrokerError(f"{missing[0]}: there is no such topic (pipeline topics check names what is missing)")
    run_process(settings, make_worker(settings, rules_folder, metrics, supervised), rules_folder, metrics)
