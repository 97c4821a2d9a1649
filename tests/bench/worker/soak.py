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

MAY_GROW = 1.1
"""From the middle of the run to its end."""


def soak(broker: Broker, redis_url: str, events: int) -> bool:
    """Print ten readings over the run. Return whether memory was flat in its second half."""
    settings = worker_settings(broker, redis_url)
    settings = msgspec.structs.replace(settings, quotas=msgspec.structs.replace(settings.quotas, duplicate_window_s=60))
    feeder = multiprocessing.Process(target=_feed, args=(settings, events), daemon=True)
    feeder.start()
    keep_heap()
    _, sink, worker = make_worker(settings)
    done = next_print = 0
    readings: list[float] = []
    commit = sink.commit

    def counting(outputs: Any, positions: KafkaPositions) -> None:
        nonlocal done, next_print
        commit(outputs, positions)
        done += len((outputs or {}).get(settings.kafka.events_out, ()))
        if done >= next_print:
            next_print += events // 10
            readings.append(_rss_mb())
            print(f"  {done:>10,} events  {readings[-1]:7.1f} MB", flush=True)
        if done >= events:
            worker.stop()

    sink.commit = counting  # type: ignore[method-assign]
    worker.run()
    return readings[-1] <= MAY_GROW * readings[len(readings) // 2]


def _feed(settings: Settings, events: int) -> None:
    made = generate_events(2)
    for _ in range(0, events, 2_000):
        fill(settings, [ingest_message(next(made), 1)[1] for _ in range(2_000)])


def _rss_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6
