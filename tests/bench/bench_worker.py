"""What the worker costs beside the stages, on a real broker: CPU of all threads of this process, the broker's and Redis's apart.

    scripts/bench worker                    cost per event beside the stages, the stock Faust agent, two workers
    scripts/bench worker --latency 30       from raw to stored at 10 events/s, for so many seconds
    scripts/bench worker --soak 1000000     memory of a worker over so many events

Good: at most 40 us of CPU an event beside the stages; p99 below 300 ms; memory flat.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import multiprocessing
import resource
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import msgspec
import orjson
import redis
from confluent_kafka import Consumer, Producer
from support.kafka_broker import Broker, fresh_settings, shared_broker

from pipeline.model.category import DataCategory
from pipeline.model.item import Item
from pipeline.model.output import Output
from pipeline.model.record import Token
from pipeline.model.scope import Scope
from pipeline.observability.prometheus_metrics import WorkerMetrics
from pipeline.quotas.embedded_redis import EmbeddedRedis
from pipeline.quotas.ledger import Polled
from pipeline.rules.folder import RulesFolder, load_rules
from pipeline.runtimes.garbage import GarbageBetweenBatches
from pipeline.runtimes.generated_events import generate_events, ingest_message
from pipeline.runtimes.recorded.readers import Inputs
from pipeline.runtimes.worker.batch import make_record
from pipeline.runtimes.worker.heap import keep_heap
from pipeline.runtimes.worker.kafka_sink import KafkaSink
from pipeline.runtimes.worker.kafka_source import KafkaSource
from pipeline.runtimes.worker.loop import Worker
from pipeline.settings import Redis, Settings
from pipeline.stages.decode import decode
from pipeline.stages.runner import BatchResult, accepted, run
from pipeline.wiring import artifacts, explain_context, redis_ledger, worker_context

ROOT = Path(__file__).parents[2]
BATCH = 1_000
WARM_UP_BATCHES = 2


def main() -> None:
    """Print the figures that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=8_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--latency", type=int, metavar="SECONDS")
    parser.add_argument("--soak", type=int, metavar="EVENTS")
    options = parser.parse_args()
    broker = shared_broker()
    with EmbeddedRedis() as server:
        if options.latency:
            measure_latency(broker, server.url, options.latency)
        elif options.soak:
            soak(broker, server.url, options.soak)
        else:
            compare(broker, server.url, options.events, options.rounds)


def compare(broker: Broker, redis_url: str, events: int, rounds: int) -> None:
    """Take turns with the same records, so that a busy machine slows all alike; every figure leaves its first batches out."""
    figures: dict[str, list[float]] = {}

    def note(name: str, seconds_per_event: float) -> None:
        figures.setdefault(name, []).append(seconds_per_event * 1e6)

    bodies = _bodies(events)
    for _ in range(rounds):
        settings, without = _settings(broker, redis_url), _settings(broker, redis_url)
        _fill(settings, bodies)
        _fill(without, bodies)
        bare = _in_child(_bare_stages, settings, bodies)
        redis.Redis.from_url(redis_url).flushall()  # or the same events would be duplicates
        whole = _in_child(_worker, settings, events)
        left_out = _in_child(_worker_without_stages, without, events)
        stock = _in_child(_stock_agent, without, events)
        redis.Redis.from_url(redis_url).flushall()
        note("bare stages", bare.total)
        note("worker", whole.total)
        note("worker minus bare stages", whole.total - bare.total)
        # Both totals are many times the difference, and so is their noise. The calls of the stages are the same ones in both:
        # without them the difference is one of small figures. Freeing what the stages built is in both too.
        note("the same beside the calls", whole.beside - bare.beside)
        note("the same, stages left out", left_out.beside)
        note("stock Faust agent", stock.total)
    size = sum(map(len, bodies)) // len(bodies)
    print(f"{events:,} events of {size:,} bytes, batches of {BATCH}, transactions on; us of CPU per event, {rounds} rounds")
    for name, each in figures.items():
        print(f"  {name:28}{median(each):8.1f}   ({min(each):.1f} to {max(each):.1f})")
    print("  beside the stages 40 are allowed")
    settings = _settings(broker, redis_url)
    _fill(settings, bodies)
    started = time.perf_counter()
    two = _two_workers(settings, events)
    rate = events / (time.perf_counter() - started)
    print(f"  {'each of two workers':28}{two * 1e6:8.1f}   ({rate:,.0f} events/s together, with their start-up)")


def measure_latency(broker: Broker, redis_url: str, seconds: int) -> None:
    """Time from produce to what a committed reader sees, at 10 events/s."""
    settings = _settings(broker, redis_url)
    _, _, worker = _make_worker(settings)
    thread = threading.Thread(target=worker.run)
    thread.start()
    reader = Consumer(
        {
            "bootstrap.servers": broker.address,
            "group.id": settings.kafka.consumer_group + "-reader",
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 10,
        }
    )
    reader.subscribe([settings.kafka.events_out])
    producer = Producer({"bootstrap.servers": broker.address, "linger.ms": 0})
    sent: dict[str, float] = {}
    seen: dict[str, float] = {}
    events = generate_events(1)
    started = time.monotonic()
    number = 0
    warm_up = 30
    while len(seen) < seconds * 10 + warm_up and time.monotonic() - started < seconds + 60:
        if number < seconds * 10 + warm_up and time.monotonic() - started >= number / 10:
            key, body = ingest_message(next(events), 1)
            sent[key.hex()] = time.monotonic()
            producer.produce(settings.kafka.events_in, body)
            producer.poll(0)
            number += 1
        message = reader.poll(0.002)
        if message is not None and message.error() is None:
            seen[orjson.loads(message.value() or b"")[2]["event_id"]] = time.monotonic()
    worker.stop()
    thread.join()
    times = sorted((seen[event_id] - moment) * 1e3 for event_id, moment in itertools.islice(sent.items(), warm_up, None))
    at = {share: times[min(len(times) - 1, int(len(times) * share))] for share in (0.5, 0.9, 0.99)}
    print(f"{len(times)} events at 10/s: " + ", ".join(f"p{share * 100:.0f} {ms:.0f} ms" for share, ms in at.items()))


def soak(broker: Broker, redis_url: str, events: int) -> None:
    """Memory of a worker process, ten readings over the run."""
    settings = _settings(broker, redis_url)
    settings = msgspec.structs.replace(settings, quotas=msgspec.structs.replace(settings.quotas, duplicate_window_s=60))
    feeder = multiprocessing.Process(target=_feed, args=(settings, events), daemon=True)
    feeder.start()
    keep_heap()
    _, sink, worker = _make_worker(settings)
    done = 0
    commit = sink.commit
    next_print = 0

    def counting(outputs: Any, topic: str, ends: Any, membership: Any) -> None:
        nonlocal done, next_print
        commit(outputs, topic, ends, membership)
        done += len(outputs.get(settings.kafka.events_out, ()))
        if done >= next_print:
            next_print += events // 10
            print(f"  {done:>10,} events  {_rss_mb():7.1f} MB", flush=True)
        if done >= events:
            worker.stop()

    sink.commit = counting  # type: ignore[method-assign]
    worker.run()


def _rss_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def _settings(broker: Broker, redis_url: str) -> Settings:
    settings = fresh_settings(broker, partitions=4)
    return msgspec.structs.replace(settings, redis=Redis(url=redis_url), rules=str(ROOT / "rules"))


def _bodies(events: int) -> list[bytes]:
    """Give the recorded events over and over, each with an id of its own: equal ones would be duplicates."""
    recorded = itertools.cycle(_recorded())
    return [
        ingest_message({**event, "event_id": uuid.uuid4().hex}, 1 + number % 5)[1]
        for number, event in zip(range(events), recorded, strict=False)
    ]


@functools.cache
def _recorded() -> list[dict[str, Any]]:
    now = time.time()
    context = explain_context(Settings(), load_rules(ROOT / "rules"), now=now)
    records = Inputs([str(ROOT / "tests/fixtures/recorded")], now=now)
    return [item.event for record in records for item in decode(record, context) if isinstance(item, Item)]


def _fill(settings: Settings, bodies: list[bytes]) -> None:
    producer = Producer({"bootstrap.servers": settings.kafka.brokers, "compression.type": "lz4", "linger.ms": 20})
    for body in bodies:
        while True:
            try:
                producer.produce(settings.kafka.events_in, body)
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush()


def _feed(settings: Settings, events: int) -> None:
    made = generate_events(2)
    for _ in range(0, events, 2_000):
        _fill(settings, [ingest_message(next(made), 1)[1] for _ in range(2_000)])


class Cost(NamedTuple):
    """CPU seconds an event: of all threads, and of that what was spent in the stages."""

    total: float
    stages: float = 0.0

    @property
    def beside(self) -> float:
        """What is not spent in calls of the stages."""
        return self.total - self.stages


class Meter:
    """Reads the clocks after each batch; the first batches, which fill caches and connections, are left out."""

    def __init__(self) -> None:
        self.stages_s = 0.0
        self._readings = [(0, time.process_time(), 0.0)]

    def timed(self, stages: Callable[..., BatchResult]) -> Callable[..., BatchResult]:
        """Note the CPU that calls of the stages take."""

        def timed_stages(records: Any, ctx: Any) -> BatchResult:
            before = time.thread_time()
            result = stages(records, ctx)
            self.stages_s += time.thread_time() - before
            return result

        return timed_stages

    def batch_ended(self, events_so_far: int) -> None:
        self._readings.append((events_so_far, time.process_time(), self.stages_s))

    def cost(self) -> Cost:
        (first, total, stages), (last, total_after, stages_after) = self._readings[WARM_UP_BATCHES], self._readings[-1]
        return Cost((total_after - total) / (last - first), (stages_after - stages) / (last - first))


def _in_child(function: Callable[..., Cost], *arguments: Any) -> Cost:
    """Run in a process of its own: nothing that ran before is in its memory or among its threads."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_plainly, (function, arguments))


def _plainly(function: Callable[..., Cost], arguments: tuple[Any, ...]) -> Cost:
    """Call on the worker's heap, and raise what a pool can carry: an exception with arguments of its own would hang it."""
    keep_heap()
    try:
        return function(*arguments)
    except Exception as error:  # noqa: BLE001
        raise RuntimeError(f"{type(error).__name__}: {error}") from None


def _make_worker(settings: Settings) -> tuple[KafkaSource, KafkaSink, Worker]:
    source, sink = KafkaSource(settings), KafkaSink(settings.kafka)
    ledger = redis_ledger(settings, settings.redis.url)
    context = worker_context(settings, RulesFolder(Path(settings.rules)), ledger, artifacts(settings))
    return source, sink, Worker(settings, source, sink, context, WorkerMetrics())


def _bare_stages(settings: Settings, bodies: list[bytes]) -> Cost:
    """Run the stages alone, with Redis, in the same batches and with the same schedule of garbage."""
    ledger = redis_ledger(settings, settings.redis.url)
    context = worker_context(settings, RulesFolder(Path(settings.rules)), ledger, artifacts(settings))
    records = [make_record(body, "in", Token(settings.kafka.events_in, 0, number), 1e9, {}) for number, body in enumerate(bodies)]
    meter = Meter()
    stages = meter.timed(run)
    with GarbageBetweenBatches() as garbage:
        for start in range(0, len(records), BATCH):
            part = records[start : start + BATCH]
            stages(part, context((Polled(settings.kafka.events_in, 0, start, start + len(part)),)))
            garbage.after_batch()
            meter.batch_ended(start + len(part))
    return meter.cost()


def _worker(settings: Settings, events: int) -> Cost:
    return _timed(settings, events, run)


def _worker_without_stages(settings: Settings, events: int) -> Cost:
    """Make the stages' results up, as large as the real ones: the worker's own cost alone."""
    headers = [(name, b"value") for name in ("operation", "version", "event_id", "group_id", "project_id", "primary_hash")]

    def made_up(records: Any, ctx: Any) -> BatchResult:
        items = []
        for record in records:
            message = Output(b"%d" % (record.token.offset % 5), record.body, headers)
            items.append(Item(record, Scope(1, 1), DataCategory.ERROR, 1, 1e9, "e", {}, message=message))
        return BatchResult(items, accepted(items, ctx.now))

    return _timed(settings, events, made_up)


def _timed(settings: Settings, events: int, stages: Callable[..., BatchResult]) -> Cost:
    """Run a worker until all is committed, and read the clocks with each commit."""
    from pipeline.runtimes.worker import loop as module

    _, sink, worker = _make_worker(settings)
    sink._ready_producer()  # registering with the coordinator is start-up
    meter, reached, commit = Meter(), dict[int, int](), sink.commit

    def counted(outputs: Any, topic: str, ends: Any, membership: Any) -> None:
        commit(outputs, topic, ends, membership)
        reached.update(ends)
        meter.batch_ended(sum(reached.values()))
        if sum(reached.values()) >= events:
            worker.stop()

    module.run = meter.timed(stages)  # type: ignore[attr-defined]
    sink.commit = counted  # type: ignore[method-assign]
    worker.run()
    return meter.cost()


def _two_workers(settings: Settings, events: int) -> float:
    """Give the CPU seconds an event of two worker processes that share the partitions, each from its first commit on."""
    from support.kafka_broker import committed

    spawn = multiprocessing.get_context("spawn")
    with spawn.Manager() as manager:
        over, costs = manager.Event(), manager.list()
        processes = [spawn.Process(target=_one_of_two, args=(settings, over, costs)) for _ in range(2)]
        for process in processes:
            process.start()
        while sum(max(0, offset) for offset in committed(settings).values()) < events:
            time.sleep(0.3)
        over.set()
        for process in processes:
            process.join()
        seconds, done = map(sum, zip(*costs, strict=True))
        return float(seconds / done)


def _one_of_two(settings: Settings, over: Any, costs: Any) -> None:
    keep_heap()
    _, sink, worker = _make_worker(settings)
    readings: list[tuple[float, int]] = []
    commit = sink.commit

    def counted(outputs: Any, topic: str, ends: Any, membership: Any) -> None:
        commit(outputs, topic, ends, membership)
        if outputs:
            readings.append((time.process_time(), len(outputs[settings.kafka.events_out])))

    def stop_when_over() -> None:
        over.wait()
        worker.stop()

    threading.Thread(target=stop_when_over, daemon=True).start()
    sink.commit = counted  # type: ignore[method-assign]
    worker.run()
    costs.append((readings[-1][0] - readings[0][0], sum(events for _, events in readings[1:])) if readings else (0.0, 0))


def _stock_agent(settings: Settings, events: int) -> Cost:
    """Run a Faust agent as its documentation shows it: consume, produce, nothing else."""
    import asyncio

    import faust

    app = faust.App(
        settings.kafka.consumer_group + "-stock",
        broker=f"kafka://{settings.kafka.brokers}",
        store="memory://",
        web_enabled=False,
        topic_replication_factor=1,
        topic_partitions=4,
        datadir=tempfile.mkdtemp(),
        consumer_auto_offset_reset="earliest",
        producer_max_request_size=2_000_000,
    )
    source = app.topic(settings.kafka.events_in, value_type=bytes, value_serializer="raw")
    target = app.topic(settings.kafka.events_out, value_type=bytes, value_serializer="raw")
    seen = 0
    meter = Meter()
    all_seen = asyncio.Event()

    @app.agent(source)  # type: ignore[untyped-decorator]  # faust has no types here
    async def copy(stream: Any) -> None:
        nonlocal seen
        async for value in stream:
            await target.send(value=value)
            seen += 1
            if seen % BATCH == 0:
                meter.batch_ended(seen)
            if seen == events:
                all_seen.set()

    async def serve() -> None:
        await app.start()
        await all_seen.wait()
        await app.stop()

    asyncio.get_event_loop_policy().get_event_loop().run_until_complete(serve())
    return meter.cost()


if __name__ == "__main__":
    main()
