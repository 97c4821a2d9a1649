"""Memory of a worker process over a long run of generated events, each new to its grouping."""

from __future__ import annotations

import multiprocessing
import resource
from pathlib import Path
from typing import Any

import msgspec
from bench.worker.inputs import fill, worker_settings
from bench.worker.subjects import make_worker
from support.kafka_broker import Broker

from pipeline.kafka.batch import KafkaPositions
from pipeline.runtimes.generated_events import generate_events, ingest_message
from pipeline.runtimes.worker.heap import keep_heap
from pipeline.settings.schema import Settings


def soak(broker: Broker, redis_url: str, events: int) -> None:
    """Print ten readings over the run."""
    settings = worker_settings(broker, redis_url)
    settings = msgspec.structs.replace(settings, quotas=msgspec.structs.replace(settings.quotas, duplicate_window_s=60))
    feeder = multiprocessing.Process(target=_feed, args=(settings, events), daemon=True)
    feeder.start()
    keep_heap()
    _, sink, worker = make_worker(settings)
    done = next_print = 0
    commit = sink.commit

    def counting(outputs: Any, positions: KafkaPositions) -> None:
        nonlocal done, next_print
        commit(outputs, positions)
        done += len((outputs or {}).get(settings.kafka.events_out, ()))
        if done >= next_print:
            next_print += events // 10
            print(f"  {done:>10,} events  {_rss_mb():7.1f} MB", flush=True)
        if done >= events:
            worker.stop()

    sink.commit = counting  # type: ignore[method-assign]
    worker.run()


def _feed(settings: Settings, events: int) -> None:
    made = generate_events(2)
    for _ in range(0, events, 2_000):
        fill(settings, [ingest_message(next(made), 1)[1] for _ in range(2_000)])


def _rss_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6
