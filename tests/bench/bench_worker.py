"""What the worker costs beside the stages, on a real broker: CPU of all threads of a process, the broker's and Redis's apart.

    scripts/bench worker                    cost per event beside the stages, the stock Faust agent, two workers
    scripts/bench worker --latency 30       from raw to stored at 10 events/s, for so many seconds
    scripts/bench worker --soak 1000000     memory of a worker over so many events

Good: at most 40 us of CPU an event beside the stages; two workers as dear as one; p99 below 300 ms; memory flat.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from statistics import mean, median
from typing import Any

from bench.worker.inputs import fill, recorded_bodies, worker_settings
from bench.worker.latency import measure_latency
from bench.worker.meter import Cost, Turns
from bench.worker.soak import soak
from bench.worker.subjects import bare_stages, one_of_workers, stock_agent, worker, worker_without_stages
from support.kafka_broker import Broker, shared_broker

from pipeline.redis.embedded import EmbeddedRedis
from pipeline.runtimes.worker.heap import keep_heap

WAITING_BEHIND = 3_000
"""Events on the topic beyond those that are read, so that fetching goes on and no batch is a part of one."""
WORKERS = 2


def main() -> None:
    """Print the figures that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=14_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--latency", type=int, metavar="SECONDS")
    parser.add_argument("--soak", type=int, metavar="EVENTS")
    options = parser.parse_args()
    broker = shared_broker()
    with EmbeddedRedis() as server:
        if options.latency:
            measure_latency(broker, server.url, options.latency)
        elif options.soak:
            sys.exit(0 if soak(broker, server.url, options.soak) else "memory grows")
        else:
            compare(broker, options.events, options.rounds)


def compare(broker: Broker, events: int, rounds: int) -> None:
    """Print what each subject costs, all with the same records."""
    figures: dict[str, list[float]] = {}

    def note(name: str, us_per_event: float) -> None:
        figures.setdefault(name, []).append(us_per_event)

    bodies = recorded_bodies(events + WAITING_BEHIND)
    for _ in range(rounds):
        bare, whole = _in_turns(broker, bodies, events)
        note("bare stages", bare.total)
        note("worker", whole.total)
        note("worker minus bare stages", whole.total - bare.total)
        note("of that, in the stages' calls", whole.stages - bare.stages)
        note("worker, stages left out", _alone(broker, bodies, worker_without_stages, events).beside)
        note("stock Faust agent", _alone(broker, bodies, stock_agent, events).total)
        pair = mean(cost.total for cost in _side_by_side(broker, bodies, events))
        note("each of two workers", pair)
        note("the same / a worker alone", pair / whole.total)
    size = sum(map(len, bodies)) // len(bodies)
    print(f"{events:,} events of {size:,} bytes, full batches, transactions on; us of CPU per event, {rounds} rounds")
    for name, each in figures.items():
        print(f"  {name:30}{median(each):8.2f}   ({min(each):.2f} to {max(each):.2f})")
    print("  beside the stages 40 are allowed")


def _in_turns(broker: Broker, bodies: list[bytes], events: int) -> tuple[Cost, Cost]:
    """Run the bare stages and a worker batch by batch in turn: their difference is small beside the noise of both."""
    with EmbeddedRedis() as first, EmbeddedRedis() as second, multiprocessing.get_context("spawn").Manager() as manager:
        settings, others = worker_settings(broker, first.url), worker_settings(broker, second.url)
        fill(others, bodies)
        turn, other_turn = manager.Semaphore(1), manager.Semaphore(0)
        bare, whole = _in_children(
            (bare_stages, settings, bodies[:events], Turns(turn, other_turn)), (worker, others, events, Turns(other_turn, turn))
        )
        return bare, whole


def _alone(broker: Broker, bodies: list[bytes], subject: Callable[..., Cost], events: int) -> Cost:
    with EmbeddedRedis() as server:
        settings = worker_settings(broker, server.url)
        fill(settings, bodies)
        return _in_children((subject, settings, events))[0]


def _side_by_side(broker: Broker, bodies: list[bytes], events: int) -> list[Cost]:
    with EmbeddedRedis() as server, multiprocessing.get_context("spawn").Manager() as manager:
        settings, barrier = worker_settings(broker, server.url), manager.Barrier(WORKERS)
        fill(settings, bodies)
        one = (one_of_workers, settings, events // WORKERS, barrier, WORKERS)
        return _in_children(*[one] * WORKERS)


def _in_children(*calls: tuple[Any, ...]) -> list[Cost]:
    """Run each in a process of its own: nothing that ran before is in its memory or among its threads."""
    with ProcessPoolExecutor(len(calls), multiprocessing.get_context("spawn"), keep_heap) as pool:
        futures: list[Future[Cost]] = [pool.submit(*call) for call in calls]
        return [future.result() for future in futures]


if __name__ == "__main__":
    main()
