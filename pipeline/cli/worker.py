"""`pipeline worker`: a stream processor on Kafka."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.cli.options import find_rules, settings_options
from pipeline.settings.loading import load_settings


@click.command()
@settings_options
@click.option("--web-port", type=click.IntRange(1, 65_535), help="Of health, metrics and live counts.  [default: 6066]")
@click.option("--slot", help="This worker's place among its equals, such as its pod's name; makes restarts quick.")
def worker(settings_file: Path | None, rules: str | None, artifacts: str | None, web_port: int | None, slot: str | None) -> None:
    """Consume raw events from Kafka, run every stage, and commit all that they come to with their offsets.

    Ends at SIGTERM after the batch at hand; a second one ends it at once, and still loses nothing.
    """
    from pipeline.kafka.errors import broker_errors
    from pipeline.kafka.topics import count_partitions, outcome_topics
    from pipeline.observability.logs import set_up_logs
    from pipeline.observability.prometheus_metrics import WorkerMetrics
    from pipeline.observability.sentry_reports import start_reporting
    from pipeline.rules.folder import RulesFolder
    from pipeline.runtimes.worker.faust_process import check_port, run_process
    from pipeline.runtimes.worker.heap import keep_heap
    from pipeline.wiring.worker import make_worker

    keep_heap()
    settings = load_settings(
        settings_file,
        {("rules",): rules, ("artifacts", "url"): artifacts, ("web", "port"): web_port, ("kafka", "slot"): slot},
    )
    check_port(settings.web)
    metrics = WorkerMetrics()
    set_up_logs(settings.reports)
    start_reporting(settings.reports, metrics.report_suppressed)
    rules_folder = RulesFolder(find_rules(settings))
    kafka, outcomes = settings.kafka, outcome_topics(settings.kafka)
    partitions = {}
    for topic in (kafka.events_in, kafka.events_out, kafka.dead_letters, *outcomes):
        with broker_errors(topic):
            partitions[topic] = count_partitions(settings, topic)
    processor = make_worker(settings, rules_folder, metrics)
    run_process(settings, processor, rules_folder, metrics, outcome_partitions={topic: partitions[topic] for topic in outcomes})
