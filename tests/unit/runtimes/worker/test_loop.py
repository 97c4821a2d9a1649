"""The loop with a source and a sink of lists: what it commits, what it drops, what it waits for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import msgpack
import msgspec
import orjson
import pytest
from support.records import whole_context

from pipeline.kafka.batch import WorkerBatch, make_record
from pipeline.kafka.lag import Lag
from pipeline.model.errors import CommitError, RetryableError, StaleBatchError
from pipeline.model.output import Output, Outputs
from pipeline.model.record import Token
from pipeline.observability.prometheus_metrics import WorkerMetrics
from pipeline.quotas.ledger import Polled
from pipeline.runtimes import loop as worker_module
from pipeline.runtimes.loop import State, Worker
from pipeline.runtimes.worker.encoding import encode
from pipeline.settings.schema import DeadLetterSettings, Settings
from pipeline.stages.contract import Context, Limits
from pipeline.stages.runner import BatchResult, run

CONTEXT = whole_context()


class ListSource:
    """Gives what is not committed yet, again and again, as a broker would."""

    def __init__(self, bodies: list[bytes], batch_size: int = 100) -> None:
        self.bodies, self.batch_size = bodies, batch_size
        self.position = self.base = 0
        self.lag, self.partitions, self.is_member = Lag(), [0], True
        self.errors: list[str] = []
        self.waits: list[float] = []
        self.closed = False
        self.on_idle: Callable[[], None] = lambda: None
        self.moves_while_waiting = False

    def poll(self) -> WorkerBatch | None:
        bodies = self.bodies[self.position : self.position + self.batch_size]
        if not bodies:
            self.on_idle()
            return None
        records = []
        for offset, body in enumerate(bodies, self.position):
            records.append(make_record(body, "in", Token("t", 0, offset), 1e9, {}))
        self.position += len(bodies)
        return WorkerBatch(records, {}, {0: self.base}, {0: self.position}, "t", None)

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        if self.moves_while_waiting:
            self.rewind()
            return False
        return True

    def resume(self) -> None: ...

    def committed(self, ends: Mapping[int, int]) -> None:
        self.base = ends[0]

    def rewind(self) -> None:
        self.position = self.base

    def passed(self) -> tuple[dict[int, int], Any]:
        return ({0: self.position} if self.position > self.base else {}), None

    def watch_lag(self) -> None: ...

    def close(self) -> None:
        self.closed = True


class ListSink:
    def __init__(self, failures: int = 0) -> None:
        self.commits: list[tuple[Outputs, int]] = []
        self.failures = failures
        self.errors: list[str] = []

    def commit(self, outputs: Outputs, topic: str, ends: Mapping[int, int], membership: Any) -> None:  # noqa: ARG002
        if self.failures:
            self.failures -= 1
            raise CommitError("refused")
        self.commits.append((outputs, ends[0]))

    def close(self) -> None: ...

    def values(self, topic: str) -> list[Output]:
        return [output for outputs, _ in self.commits for output in outputs.get(topic, ())]


def event(number: int, **fields: Any) -> bytes:
    event_id = f"{number + 1:032x}"
    payload = orjson.dumps({"event_id": event_id, "message": f"m{number}", "platform": "python", **fields})
    body = {"type": "event", "event_id": event_id, "project_id": 1, "start_time": 1_700_000_000, "payload": payload}
    return bytes(msgpack.packb(body))


def make(
    source: ListSource, sink: ListSink, settings: Settings | None = None, limits: Limits | None = None
) -> tuple[Worker, WorkerMetrics]:
    def context(polled: tuple[Polled, ...]) -> Context:
        return replace(CONTEXT, polled=polled, limits=limits or CONTEXT.limits)

    metrics = WorkerMetrics()
    worker = Worker(settings or Settings(), source, sink, context, metrics)
    source.on_idle = worker.stop
    return worker, metrics


def events(sink: ListSink) -> list[str]:
    return [orjson.loads(output.value)[2]["event_id"] for output in sink.values("events")]


def test_commits_what_the_stages_made_of_it() -> None:
    source, sink = ListSource([event(n) for n in range(250)]), ListSink()
    worker, metrics = make(source, sink)
    worker.run()
    assert [end for _, end in sink.commits] == [100, 200, 250]
    assert events(sink) == [f"{n + 1:032x}" for n in range(250)]
    assert source.closed
    assert worker.state is State.STOPPED
    assert b"pipeline_records_total 250.0" in metrics.page()


def test_a_failed_commit_is_read_again() -> None:
    source, sink = ListSource([event(n) for n in range(10)]), ListSink(failures=2)
    worker, metrics = make(source, sink)
    worker.run()
    assert len(events(sink)) == 10
    assert b'pipeline_batches_dropped_total{why="commit"} 2.0' in metrics.page()


def test_commits_that_fail_again_and_again_are_said_and_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "FAILURES_BEFORE_WAITING", 1)
    source, sink = ListSource([event(1)]), ListSink(failures=1)
    worker, _ = make(source, sink)
    said: list[tuple[State, str]] = []

    def mended_meanwhile(seconds: float) -> bool:  # noqa: ARG001
        said.append((worker.state, worker.why))
        return False

    source.wait = mended_meanwhile  # type: ignore[method-assign]
    worker.run()
    assert said == [(State.WAITING, "kafka: refused")]
    assert len(sink.commits) == 1


def failing(when: Callable[[list[Any]], Exception | None]) -> Callable[..., BatchResult]:
    def failing_run(records: list[Any], ctx: Context) -> BatchResult:
        error = when(records)
        if error is not None:
            raise error
        return run(records, ctx)

    return failing_run


def test_a_record_whose_output_cannot_be_encoded_is_found_too(monkeypatch: pytest.MonkeyPatch) -> None:
    bodies = [event(n) for n in range(8)]

    def failing_encode(result: BatchResult, *others: Any) -> Outputs:
        if any(item.record.body == bodies[5] for item in result.events):
            raise ZeroDivisionError("ours")
        return encode(result, *others)

    monkeypatch.setattr(worker_module, "encode", failing_encode)
    source, sink = ListSource(bodies), ListSink()
    worker, _ = make(source, sink)
    worker.run()
    assert [letter.value for letter in sink.values("ingest-events-dlq")] == [bodies[5]]
    assert len(events(sink)) == 7


def test_a_broker_that_is_away_is_said_also_where_nothing_is_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "IDLE_CHORES_EVERY_S", 0.0)
    monkeypatch.setattr(worker_module, "BROKERS_DOWN_FOR_S", 0.01)
    source, sink = ListSource([]), ListSink()
    worker, _ = make(source, sink)
    states: list[tuple[State, str]] = []

    def idle() -> None:
        states.append((worker.state, worker.why))
        if len(states) == 2:
            source.errors.append("_ALL_BROKERS_DOWN")
        if len(states) > 3:
            time.sleep(0.01)
            if worker.state is State.RUNNING:
                worker.stop()

    source.on_idle = idle
    worker.run()
    assert states[1] == (State.RUNNING, "")
    assert states[2] == (State.WAITING, "kafka: no broker can be reached")
    assert states[-1] == (State.RUNNING, "")


def test_a_redis_that_is_away_is_said_also_where_nothing_is_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "IDLE_CHORES_EVERY_S", 0.0)
    source, sink = ListSource([]), ListSink()
    is_away = [True, True]

    def check() -> None:
        if is_away and is_away.pop(0):
            raise RetryableError("redis", "refused")

    worker = Worker(Settings(), source, sink, lambda _: CONTEXT, WorkerMetrics(), check=check)
    states: list[tuple[State, str]] = []

    def idle() -> None:
        states.append((worker.state, worker.why))
        if len(states) == 4:
            worker.stop()

    source.on_idle = idle
    worker.run()
    assert states == [(State.STARTING, ""), *[(State.WAITING, "redis: refused")] * 2, (State.RUNNING, "")]


def test_a_batch_that_waits_when_the_worker_is_stopped_is_not_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "IDLE_CHORES_EVERY_S", 0.0)
    source, sink = ListSource([event(1)]), ListSink()
    worker, _ = make(source, sink)

    def stopped_amid_a_call(_: list[Any]) -> RetryableError:
        worker.stop()
        return RetryableError("redis", "no answer")

    monkeypatch.setattr(worker_module, "run", failing(stopped_amid_a_call))
    worker.run()
    assert sink.commits == []
    assert source.position == source.base == 0


def test_what_a_dropped_batch_waited_for_is_not_said_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "IDLE_CHORES_EVERY_S", 0.0)
    monkeypatch.setattr(worker_module, "RUNNING_AGAIN_AFTER_S", 0.05)
    monkeypatch.setattr(worker_module, "run", failing(lambda _: RetryableError("redis", "gone")))
    source, sink = ListSource([event(1)]), ListSink()
    worker, _ = make(source, sink)
    states: list[State] = []

    def another_worker_takes_it(seconds: float) -> bool:  # noqa: ARG001
        states.append(worker.state)
        source.bodies = []
        return False

    def idle() -> None:
        time.sleep(0.01)
        states.append(worker.state)
        if worker.state is State.RUNNING or len(states) > 100:
            worker.stop()

    source.wait = another_worker_takes_it  # type: ignore[method-assign]
    source.on_idle = idle
    worker.run()
    assert (states[0], states[1], states[-1]) == (State.WAITING, State.WAITING, State.RUNNING)


def test_a_member_without_partitions_is_ready() -> None:
    source, sink = ListSource([]), ListSink()
    source.partitions = []
    worker, metrics = make(source, sink)
    source.on_idle = lambda: worker.stop() if worker.state is State.RUNNING else None
    worker.run()
    assert b'pipeline_state{state="stopped"} 1.0' in metrics.page()


def test_a_poison_record_is_found_and_its_neighbours_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    bodies = [event(n) for n in range(64)]

    def poisoned(records: list[Any]) -> Exception | None:
        return ZeroDivisionError("ours") if any(record.body == bodies[37] for record in records) else None

    monkeypatch.setattr(worker_module, "run", failing(poisoned))
    source, sink = ListSource(bodies), ListSink()
    worker, _ = make(source, sink)
    worker.run()
    (letter,) = sink.values("ingest-events-dlq")
    assert letter.value == bodies[37]
    headers = dict(letter.headers)
    assert (headers["stage"], headers["reason"], headers["source-offset"]) == (b"worker", b"internal", b"37")
    assert len(events(sink)) == 63
    assert [end for _, end in sink.commits] == sorted(end for _, end in sink.commits), "each part stands on the last"
    assert source.base == 64


def test_parts_of_a_split_batch_cover_all_and_stand_on_each_other() -> None:
    source = ListSource([event(n) for n in range(7)])
    batch = source.poll()
    assert batch is not None
    first, second = batch.halves()
    covered = worker_module.covered_by(first) + worker_module.covered_by(second)
    assert [(part.base, part.end) for part in covered] == [
        (0, 3),
        (3, 7),
    ]
    assert [*first.records, *second.records] == batch.records


def test_waits_for_a_service_with_the_batch_in_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [RetryableError("redis", "gone", retry_in_s=0.02)] * 3
    monkeypatch.setattr(worker_module, "run", failing(lambda _: answers.pop() if answers else None))
    source, sink = ListSource([event(1)]), ListSink()
    worker, metrics = make(source, sink)
    worker.run()
    assert len(events(sink)) == 1
    assert len(source.waits) >= 3
    assert b'pipeline_service_errors_total{service="redis"} 3.0' in metrics.page()


def test_a_batch_whose_partitions_moved_while_waiting_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [RetryableError("redis", "gone", retry_in_s=0.02)]
    monkeypatch.setattr(worker_module, "run", failing(lambda _: answers.pop() if answers else None))
    source, sink = ListSource([event(1)]), ListSink()
    source.moves_while_waiting = True
    worker, _ = make(source, sink)
    worker.run()
    assert len(sink.commits) == 1


def test_a_stale_batch_is_dropped_and_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [StaleBatchError("gone past")]
    monkeypatch.setattr(worker_module, "run", failing(lambda _: answers.pop() if answers else None))
    source, sink = ListSource([event(1)]), ListSink()
    worker, metrics = make(source, sink)
    worker.run()
    assert len(events(sink)) == 1
    assert b'pipeline_batches_dropped_total{why="stale"} 1.0' in metrics.page()


def test_stale_for_ever_says_that_offsets_were_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "run", failing(lambda _: StaleBatchError("gone past")))
    source, sink = ListSource([event(1)]), ListSink()
    worker, _ = make(source, sink)
    thread = threading.Thread(target=worker.run)
    thread.start()
    deadline = threading.Event()
    for _ in range(200):
        if "pipeline offsets reset" in worker.why:
            break
        deadline.wait(0.02)
    assert "pipeline offsets reset" in worker.why
    worker.stop()
    thread.join(5)
    assert sink.commits == []


def test_over_the_dead_letter_limit_nothing_is_committed_until_it_is_mended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "HALTED_RETRY_S", 0.02)
    tries = []

    def mended(records: list[Any]) -> Exception | None:
        tries.append(len(records))
        return None

    monkeypatch.setattr(worker_module, "run", failing(mended))
    source, sink = ListSource([b"\xc1"] * 30 + [event(1)]), ListSink()
    worker, _ = make(source, sink, msgspec.structs.replace(Settings(), dead_letters=DeadLetterSettings(min_count=10)))
    states: list[State] = []

    def note_state(seconds: float) -> bool:  # noqa: ARG001
        states.append(worker.state)
        if len(tries) >= 3:
            worker.stop()
        return True

    source.wait = note_state  # type: ignore[method-assign]
    worker.run()
    assert sink.commits == []
    assert set(states) == {State.HALTED}
    assert len(tries) >= 3


def test_what_is_too_large_for_its_topic_is_a_dead_letter_and_the_rest_goes_out() -> None:
    bodies = [event(n) for n in range(3)] + [event(3, extra={f"k{n}": "x" * 400 for n in range(30)})]
    source, sink = ListSource(bodies), ListSink()
    worker, metrics = make(source, sink, limits=Limits(max_output_bytes=10_000))
    worker.run()
    (letter,) = sink.values("ingest-events-dlq")
    assert letter.value == bodies[3]
    assert dict(letter.headers)["reason"] == b"too_large"
    assert len(events(sink)) == 3
    (accepted,) = [orjson.loads(output.value) for output in sink.values("outcomes")]
    assert accepted["quantity"] == 3
    assert b'pipeline_dead_letters_total{reason="too_large",stage="publish"} 1.0' in metrics.page()


def test_stop_ends_after_the_batch() -> None:
    source, sink = ListSource([event(n) for n in range(500)]), ListSink()
    worker, _ = make(source, sink)
    commit = sink.commit

    def commit_and_stop(*arguments: Any) -> None:
        commit(*arguments)
        worker.stop()

    sink.commit = commit_and_stop  # type: ignore[method-assign, assignment]
    worker.run()
    assert [end for _, end in sink.commits] == [100]
