"""What is compared: the stages alone, a worker with and without them, one of several workers, a stock Faust agent.

Each runs in a process of its own and ends once it has read so many events; more than those wait on the topic, so that no batch
that counts is a part of one.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator, Sequence
from threading import Barrier
from typing import Any

from bench.worker.inputs import PARTITIONS
from bench.worker.meter import Cost, Meter, Turns

from pipeline.kafka.batch import KafkaBatch, KafkaPositions, make_record
from pipeline.kafka.config import transactional_id
from pipeline.kafka.consumer import KafkaConsumer
from pipeline.kafka.producer import TransactionalProducer
from pipeline.model.category import DataCategory
from pipeline.model.event import Event
from pipeline.model.item import Item
from pipeline.model.record import Form, Output, Record, Token
from pipeline.model.scope import Scope
from pipeline.observability.prometheus_metrics import WorkerMetrics
from pipeline.quotas.ledger import Polled
from pipeline.rules.folder import RulesFolder
from pipeline.rules.shipped import rules_path
from pipeline.runtimes.garbage import GarbageBetweenBatches
from pipeline.runtimes.loop import Loop
from pipeline.runtimes.worker.work import Processed, StageWork, covered_by
from pipeline.settings.schema import BatchSettings, Settings
from pipeline.stages import ERRORS
from pipeline.stages.contract import Context
from pipeline.stages.runner import BatchResult, accepted, run
from pipeline.wiring.contexts import configured_artifacts, worker_context
from pipeline.wiring.redis import connect_redis, redis_ledger
from pipeline.wiring.worker import assemble_worker, input_consumer

STOCK_BATCH = 1_000


Stages = Callable[..., BatchResult]


def all_stages(records: Sequence[Record], ctx: Context) -> BatchResult:
    """Run the stages in their order."""
    return run(records, ctx, ERRORS)


class TimedWork(StageWork):
    """A worker's work with other stages in place of the real ones."""

    stages: Stages = staticmethod(all_stages)

    def run(self, batch: KafkaBatch) -> Processed:
        return self._encoded(batch, self.stages(batch.records, self._context(covered_by(batch))))


def make_worker(
    settings: Settings, stages: Stages = all_stages
) -> tuple[KafkaConsumer, TransactionalProducer, Loop[KafkaBatch, Processed]]:
    """Wire a worker as `pipeline worker` does, without the process around it."""
    metrics = WorkerMetrics()
    ledger = redis_ledger(connect_redis(settings), settings)
    context = worker_context(settings, RulesFolder(rules_path(settings.rules)), ledger, configured_artifacts(settings))
    source = input_consumer(settings, metrics, ledger)
    sink = TransactionalProducer(settings.kafka, transactional_id(settings.kafka, settings.kafka.consumer_group))
    work = TimedWork(settings, context, metrics)
    work.stages = stages
    return source, sink, assemble_worker(settings, source, work, sink, metrics).loop


def bare_stages(settings: Settings, bodies: list[bytes], turns: Turns | None = None) -> Cost:
    """Run the stages alone, with Redis, in the worker's batches and with its schedule of garbage."""
    ledger = redis_ledger(connect_redis(settings), settings)
    context = worker_context(settings, RulesFolder(rules_path(settings.rules)), ledger, configured_artifacts(settings))
    topic = settings.kafka.events_in
    records = [make_record(body, Form.MSGPACK, "in", Token(topic, 0, number), 1e9, {}) for number, body in enumerate(bodies)]
    meter, done = Meter(turns), 0
    stages = meter.timed(all_stages)
    with GarbageBetweenBatches() as garbage:
        for part in _batches(records, settings.batch):
            stages(part, context((Polled(topic, 0, done, done + len(part)),)))
            done += len(part)
            garbage.after_batch()
            meter.batch_ended(done)
    return meter.cost()


def _batches(records: Sequence[Record], bounds: BatchSettings) -> Iterator[list[Record]]:
    part: list[Record] = []
    size = 0
    for record in records:
        part.append(record)
        size += len(record.body)
        if len(part) == bounds.max_records or size >= bounds.max_bytes:
            yield part
            part, size = [], 0


def worker(settings: Settings, events: int, turns: Turns | None = None) -> Cost:
    """Run a worker that has all partitions."""
    return _run_worker(settings, events, all_stages, turns=turns)


def worker_without_stages(settings: Settings, events: int) -> Cost:
    """Make the stages' results up, as large as the events that came: the worker's own cost alone."""
    headers = [(name, b"value") for name in ("operation", "version", "event_id", "group_id", "project_id", "primary_hash")]

    def made_up(records: Any, ctx: Any) -> BatchResult:
        items: list[Item[Event]] = []
        for record in records:
            message = Output(b"%d" % (record.token.offset % 5), record.body, headers)
            items.append(Item(record, Scope(1, 1), DataCategory.ERROR, 1, 1e9, "e", {}, message=message))
        return BatchResult(items, accepted(items, ctx.now))

    return _run_worker(settings, events, made_up)


def one_of_workers(settings: Settings, events: int, together: Barrier, count: int) -> Cost:
    """Run one of `count` workers with an equal share of the partitions: all begin when each has its share, and end together."""
    return _run_worker(settings, events, all_stages, together=together, count=count)


def _run_worker(
    settings: Settings,
    events: int,
    stages: Callable[..., BatchResult],
    *,
    turns: Turns | None = None,
    together: Barrier | None = None,
    count: int = 1,
) -> Cost:
    meter = Meter(turns)
    source, sink, subject = make_worker(settings, meter.timed(stages))
    sink._ready_producer()  # registering with the coordinator is start-up, and so is joining the group
    while len(source.partitions) != PARTITIONS // count:
        source.wait(0.1)
    if together:
        together.wait()
    source.resume()
    reached, commit = dict[int, int](), sink.commit

    def counted(outputs: Any, positions: KafkaPositions) -> None:
        commit(outputs, positions)
        reached.update(positions.ends)
        meter.batch_ended(sum(reached.values()))
        if sum(reached.values()) >= events:
            if together:
                together.wait()  # who leaves moves the partitions of the others
            subject.stop()

    sink.commit = counted  # type: ignore[method-assign]
    subject.run()
    return meter.cost()


def stock_agent(settings: Settings, events: int) -> Cost:
    """Run a Faust agent as its documentation shows it: consume, produce, nothing else."""
    import faust

    app = faust.App(
        settings.kafka.consumer_group + "-stock",
        broker=f"kafka://{settings.kafka.brokers}",
        store="memory://",
        web_enabled=False,
        topic_replication_factor=1,
        topic_partitions=PARTITIONS,
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
            if seen % STOCK_BATCH == 0:
                meter.batch_ended(seen)
            if seen == events:
                all_seen.set()

    async def serve() -> None:
        await app.start()
        await all_seen.wait()
        await app.stop()

    asyncio.get_event_loop_policy().get_event_loop().run_until_complete(serve())
    return meter.cost()
