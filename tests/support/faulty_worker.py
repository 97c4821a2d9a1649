"""A worker that kills itself at a named point: `python faulty_worker.py SETTINGS [POINT NTH MARK]`.

At the NTH time that it comes by, it writes MARK and sends itself SIGKILL. Everything else is the worker as it is.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from pipeline.kafka.batch import KafkaBatch, KafkaPositions
from pipeline.kafka.config import transactional_id
from pipeline.kafka.consumer import KafkaConsumer
from pipeline.kafka.producer import TransactionalProducer
from pipeline.model.record import Outputs
from pipeline.observability.logs import set_up_logs
from pipeline.observability.prometheus_metrics import WorkerMetrics
from pipeline.quotas.ledger import Claim, Counted, Decision, Ledger, Polled, Sighting
from pipeline.rules.folder import RulesFolder
from pipeline.rules.shipped import rules_path
from pipeline.runtimes.worker.faust_process import run_process
from pipeline.runtimes.worker.supervisor import supervise
from pipeline.runtimes.worker.work import StageWork
from pipeline.settings.loading import load_settings
from pipeline.settings.schema import Settings
from pipeline.wiring.contexts import configured_artifacts, worker_context
from pipeline.wiring.redis import connect_redis, redis_ledger
from pipeline.wiring.worker import assemble_worker

POINTS = (
    "after_poll",
    "before_admit",
    "after_admit",
    "before_count",
    "after_count",
    "after_produce",
    "in_commit",
    "after_commit",
    "in_revoke",
)

At = Callable[[str], None]


class KillPoint:
    """Counts how often the point was passed."""

    def __init__(self, point: str = "", nth: int = 1, mark: str = "") -> None:
        self.point, self.left, self.mark = point, nth, mark

    def __call__(self, point: str) -> None:
        if point == self.point:
            self.left -= 1
            if self.left <= 0:
                Path(self.mark).touch()
                os.kill(os.getpid(), signal.SIGKILL)


class FaultySource(KafkaConsumer):
    def __init__(self, settings: Settings, at: At, on_revoke: Callable[[], None]) -> None:
        def revoke(gone: Sequence[int]) -> None:
            if gone:
                at("in_revoke")
            on_revoke()

        self._at = at
        kafka = settings.kafka
        limit = settings.input.max_record_bytes
        super().__init__(kafka, kafka.events_in, kafka.consumer_group, settings.batch, max_record_bytes=limit, on_revoke=revoke)

    def poll(self) -> KafkaBatch | None:
        batch = super().poll()
        if batch is not None:
            self._at("after_poll")
        return batch

    def committed(self, positions: KafkaPositions) -> None:
        self._at("after_commit")
        super().committed(positions)


class FaultySink(TransactionalProducer):
    def __init__(self, settings: Settings, at: At) -> None:
        self._at = at
        super().__init__(settings.kafka, transactional_id(settings.kafka, settings.kafka.consumer_group))

    def produce(self, producer: Producer, outputs: Outputs, deadline: float) -> None:
        super().produce(producer, outputs, deadline)
        producer.flush(5)
        self._at("after_produce")

    def finish(self, producer: Producer, deadline: float) -> None:
        def kill_soon() -> None:
            time.sleep(0.004)  # the request is on its way, the answer is not here
            self._at("in_commit")

        threading.Thread(target=kill_soon, daemon=True).start()
        super().finish(producer, deadline)


class FaultyLedger:
    def __init__(self, ledger: Ledger, at: At) -> None:
        self._ledger, self._at = ledger, at

    def admit(self, polled: Sequence[Polled], claims: Sequence[Claim], now: float) -> Sequence[Decision]:
        self._at("before_admit")
        decisions = self._ledger.admit(polled, claims, now)
        self._at("after_admit")
        return decisions

    def count(self, polled: Sequence[Polled], sightings: Sequence[Sighting], now: float) -> Sequence[Counted]:
        self._at("before_count")
        counted = self._ledger.count(polled, sightings, now)
        self._at("after_count")
        return counted


def main(settings_file: str, *fault: Any) -> None:
    settings = load_settings(Path(settings_file))
    set_up_logs(settings.reports)
    supervised = supervise(settings.supervisor.hang_s)
    at = KillPoint(fault[0], int(fault[1]), fault[2]) if fault else KillPoint()
    rules, metrics = RulesFolder(rules_path(settings.rules)), WorkerMetrics()
    ledger = redis_ledger(connect_redis(settings), settings)
    context = worker_context(settings, rules, FaultyLedger(ledger, at), configured_artifacts(settings))
    work = StageWork(settings, context, metrics, supervised=supervised)
    source, sink = FaultySource(settings, at, ledger.forget), FaultySink(settings, at)
    worker = assemble_worker(settings, source, work, sink, metrics)
    run_process(settings, worker, rules, metrics)


if __name__ == "__main__":
    main(*sys.argv[1:])
