"""The loop with a source and a sink of lists: what it commits, what it drops, what it waits for."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import msgpack
import orjson
from support.records import whole_context

from pipeline.kafka.batch import KafkaBatch, KafkaPositions, make_record
from pipeline.model.errors import CommitError, RetryableError, StaleBatchError
from pipeline.model.record import Form, Output, Outputs, Token
from pipeline.observability.prometheus_metrics import WorkerMetrics
from pipeline.quotas.ledger import Claim, Counted, Decision, Ledger, Polled, Sighting, UncountedLedger
from pipeline.runtimes.clock import Clock
from pipeline.runtimes.dead_letter_limit import DeadLetterLimit
from pipeline.runtimes.loop import Loop, State, Timings
from pipeline.runtimes.worker.work import Processed, StageWork, covered_by
from pipeline.settings.schema import DeadLetterSettings, Settings
from pipeline.stages.contract import Context, StageLimits

CONTEXT = whole_context()


class ListClock(Clock):
    """A clock that stands still until somebody waits."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def now(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        return self.seconds


class ListSource:
    """Returns what is not committed yet, again and again, as a broker would. A poll without records takes a second."""

    def __init__(self, bodies: list[bytes], batch_size: int = 100) -> None:
        self.bodies, self.batch_size = bodies, batch_size
        self.position = self.base = 0
        self.clock = ListClock()
        self.why_unready = ""
        self.waits: list[float] = []
        self.closed = False
        self.on_idle: Callable[[], None] = lambda: None
        self.moves_while_waiting = False

    def poll(self) -> KafkaBatch | None:
        bodies = self.bodies[self.position : self.position + self.batch_size]
        if not bodies:
            self.clock.seconds += 1
            self.on_idle()
            return None
        records = []
        for offset, body in enumerate(bodies, self.position):
            records.append(make_record(body, Form.MSGPACK, "in", Token("t", 0, offset), 1e9, {}))
        self.position += len(bodies)
        return KafkaBatch(records, {}, {0: self.base}, {0: self.position}, "in", {0: "t"}, None)

    def unready(self) -> str:
        return self.why_unready

    def wait(self, seconds: float) -> bool:
        self.clock.seconds += seconds
        self.waits.append(seconds)
        if self.moves_while_waiting:
            self.rewind()
            return False
        return True

    def resume(self) -> None: ...

    def committed(self, positions: KafkaPositions) -> None:
        self.base = positions.ends[0]

    def rewind(self) -> None:
        self.position = self.base

    def skipped(self) -> KafkaPositions | None:
        return KafkaPositions("in", {0: self.position}, None) if self.position > self.base else None

    def close(self) -> None:
        self.closed = True


class ListSink:
    def __init__(self, failures: int = 0) -> None:
        self.commits: list[tuple[Outputs, int]] = []
        self.failures = failures

    def commit(self, outputs: Outputs | None, positions: KafkaPositions) -> None:
        if self.failures:
            self.failures -= 1
            raise CommitError("kafka: refused")
        self.commits.append((outputs or {}, positions.ends[0]))

    def close(self) -> None: ...

    def values(self, topic: str) -> list[Output]:
        return [output for outputs, _ in self.commits for output in outputs.get(topic, ())]


class FaultyWork(StageWork):
    """The real stages, after `fault` has had its chance to raise."""

    fault: Callable[[KafkaBatch], Exception | None] = staticmethod(lambda _: None)

    def run(self, batch: KafkaBatch) -> Processed:
        error = self.fault(batch)
        if error is not None:
            raise error
        return super().run(batch)


def event(number: int, **fields: Any) -> bytes:
    event_id = f"{number + 1:032x}"
    payload = orjson.dumps({"event_id": event_id, "message": f"m{number}", "platform": "python", **fields})
    body = {"type": "event", "event_id": event_id, "project_id": 1, "start_time": 1_700_000_000, "payload": payload}
    return bytes(msgpack.packb(body))


def make(
    source: ListSource,
    sink: ListSink,
    fault: Callable[[KafkaBatch], Exception | None] = lambda _: None,
    *,
    check: Callable[[], None] = lambda: None,
    settings: Settings | None = None,
    limits: StageLimits | None = None,
    timings: Timings | None = None,
    ledger: Ledger = CONTEXT.ledger,
) -> tuple[Loop[KafkaBatch, Processed], WorkerMetrics]:
    def context(polled: tuple[Polled, ...]) -> Context:
        return replace(CONTEXT, polled=polled, limits=limits or CONTEXT.limits, ledger=ledger)

    settings, metrics = settings or Settings(), WorkerMetrics()
    work = FaultyWork(settings, context, metrics, check=check, clock=source.clock)
    work.fault = fault
    limit = DeadLetterLimit(settings.dead_letters)
    loop = Loop(source, work, sink, metrics, limit, clock=source.clock, timings=timings)
    source.on_idle = loop.stop
    return loop, metrics


def events(sink: ListSink) -> list[str]:
    return [orjson.loads(output.value)[2]["event_id"] for output in sink.values("events")]


def test_commits_what_the_stages_made_of_it() -> None:
    source, sink = ListSource([event(n) for n in range(250)]), ListSink()
    loop, metrics = make(source, sink)
    loop.run()
    assert [end for _, end in sink.commits] == [100, 200, 250]
    assert events(sink) == [f"{n + 1:032x}" for n in range(250)]
    assert source.closed
    assert loop.state is State.STOPPED
    assert b"pipeline_records_total 250.0" in metrics.page()


def test_a_failed_commit_is_read_again() -> None:
    source, sink = ListSource([event(n) for n in range(10)]), ListSink(failures=2)
    loop, metrics = make(source, sink)
    loop.run()
    assert len(events(sink)) == 10
    assert b'pipeline_batches_dropped_total{why="commit"} 2.0' in metrics.page()


def test_commits_that_fail_again_and_again_are_said_and_waited_for() -> None:
    source, sink = ListSource([event(1)]), ListSink(failures=3)
    loop, _ = make(source, sink)
    said: list[tuple[State, str]] = []

    def mended_meanwhile(seconds: float) -> bool:  # noqa: ARG001
        said.append((loop.state, loop.why))
        return False

    source.wait = mended_meanwhile  # type: ignore[method-assign]
    loop.run()
    assert said == [(State.WAITING, "kafka: refused")]
    assert len(sink.commits) == 1


def test_a_commit_that_failed_is_not_running_until_the_next_look() -> None:
    source, sink = ListSource([event(1)]), ListSink(failures=1)
    loop, _ = make(source, sink)
    loop._next_chores = 1e12
    poll, said = source.poll, list[tuple[State, str]]()

    def watched_poll() -> KafkaBatch | None:
        said.append((loop.state, loop.why))
        return poll()

    source.poll = watched_poll  # type: ignore[method-assign]
    loop.run()
    assert said[1] == (State.WAITING, "kafka: refused")
    assert said[-1] == (State.RUNNING, "")


def test_commits_that_keep_failing_are_waiting_all_the_time_and_no_longer_than_they_fail() -> None:
    source, sink = ListSource([event(1)]), ListSink(failures=8)
    loop, metrics = make(source, sink)
    run, states = loop._work.run, list[State]()

    def watched(batch: KafkaBatch) -> Processed:
        result = run(batch)
        states.append(loop.state)
        source.clock.seconds += 1.5  # so that chores are done between the tries
        return result

    loop._work.run = watched  # type: ignore[method-assign]
    loop.run()
    assert len(states) == 9
    assert states[4:] == [State.WAITING] * 5
    assert b'pipeline_batches_dropped_total{why="commit"} 8.0' in metrics.page()


def test_a_source_that_cannot_deliver_is_said_at_once() -> None:
    source, sink = ListSource([event(1)]), ListSink()
    loop, _ = make(source, sink, timings=Timings(chores_every_s=1e9))
    polls = 0

    def lost() -> None:
        nonlocal polls
        polls += 1
        source.why_unready = "kafka: joining the consumer group"
        if polls == 3:
            assert (loop.state, loop.why) == (State.WAITING, "kafka: joining the consumer group")
            loop.stop()

    source.on_idle = lost
    loop.run()
    assert polls == 3


def test_a_panic_of_a_library_is_one_records_fault_too() -> None:
    """A panic in Rust reaches Python as a BaseException."""

    class PanicError(BaseException):
        pass

    bad = event(3)

    def panic(batch: KafkaBatch) -> Exception | None:
        if any(record.body == bad for record in batch.records):
            raise PanicError("called `Option::unwrap()` on a `None` value")
        return None

    source, sink = ListSource([event(1), event(2), bad, event(4)]), ListSink()
    loop, _ = make(source, sink, fault=panic)
    loop.run()
    assert len(events(sink)) == 3
    assert [output.value for output in sink.values("ingest-events-dlq")] == [bad]


def test_a_record_whose_output_cannot_be_encoded_is_found_too() -> None:
    bodies = [event(n) for n in range(8)]
    source, sink = ListSource(bodies), ListSink()
    loop, _ = make(source, sink, limits=StageLimits(max_output_bytes=10_000))
    work = loop._work
    assert isinstance(work, StageWork)
    encoded = work._encoded

    def failing_encode(batch: KafkaBatch, result: Any) -> Processed:
        if any(item.record.body == bodies[5] for item in result.events):
            raise ZeroDivisionError("ours")
        return encoded(batch, result)

    work._encoded = failing_encode  # type: ignore[method-assign]
    loop.run()
    assert [letter.value for letter in sink.values("ingest-events-dlq")] == [bodies[5]]
    assert len(events(sink)) == 7


def test_a_source_that_is_away_is_said_also_where_nothing_is_to_do() -> None:
    source, sink = ListSource([]), ListSink()
    loop, _ = make(source, sink)
    states: list[tuple[State, str]] = []

    def idle() -> None:
        states.append((loop.state, loop.why))
        source.why_unready = "kafka: no broker can be reached" if len(states) in {2, 3} else ""
        if len(states) == 5:
            loop.stop()

    source.on_idle = idle
    loop.run()
    assert states[1] == (State.RUNNING, "")
    assert states[2:4] == [(State.WAITING, "kafka: no broker can be reached")] * 2
    assert states[-1] == (State.RUNNING, "")


def test_a_worker_that_has_not_joined_yet_says_so_and_is_starting() -> None:
    source, sink = ListSource([]), ListSink()
    source.why_unready = "kafka: joining the consumer group"
    loop, _ = make(source, sink)
    states: list[tuple[State, str]] = []

    def idle() -> None:
        states.append((loop.state, loop.why))
        if len(states) == 3:
            source.why_unready = ""
        if len(states) == 4:
            loop.stop()

    source.on_idle = idle
    loop.run()
    assert states[1:3] == [(State.STARTING, "kafka: joining the consumer group")] * 2
    assert states[-1] == (State.RUNNING, "")


def test_a_redis_that_is_away_is_said_also_where_nothing_is_to_do() -> None:
    source, sink = ListSource([]), ListSink()
    is_away = [True, True]

    def check() -> None:
        if is_away and is_away.pop(0):
            raise RetryableError("redis", "refused")

    loop, _ = make(source, sink, check=check)
    states: list[tuple[State, str]] = []

    def idle() -> None:
        states.append((loop.state, loop.why))
        if len(states) == 4:
            loop.stop()

    source.on_idle = idle
    loop.run()
    assert states == [(State.STARTING, ""), *[(State.STARTING, "redis: refused")] * 2, (State.RUNNING, "")]


def test_what_a_failing_run_charged_is_given_back_before_its_record_becomes_a_dead_letter() -> None:
    """The ledger is asked with the record's place and without the record, which takes its charges back."""
    source, sink = ListSource([event(1)]), ListSink()
    asked: list[tuple[str, int]] = []

    class Noting(UncountedLedger):
        def count(self, polled: Sequence[Polled], sightings: Sequence[Sighting], now: float) -> Sequence[Counted]:
            asked.append((polled[0].topic_id, len(sightings)))
            return super().count(polled, sightings, now)

    loop, _ = make(source, sink, lambda _: ValueError("odd"), ledger=Noting())
    loop.run()
    assert asked
    assert {number for _, number in asked} == {0}
    [letter] = sink.values("ingest-events-dlq")
    assert dict(letter.headers or ())["stage"] == b"worker"


def test_giving_up_waits_for_redis_as_the_run_does() -> None:
    source, sink = ListSource([event(1)]), ListSink()
    away = [RetryableError("redis", "gone", retry_in_s=0.5)] * 2

    class Away(UncountedLedger):
        def admit(self, polled: Sequence[Polled], claims: Sequence[Claim], now: float) -> Sequence[Decision]:
            if away:
                raise away.pop()
            return super().admit(polled, claims, now)

    loop, _ = make(source, sink, lambda _: ValueError("odd"), ledger=Away())
    loop.run()
    assert away == []
    assert len(sink.values("ingest-events-dlq")) == 1


def test_a_batch_that_waits_when_the_worker_is_stopped_is_not_committed() -> None:
    source, sink = ListSource([event(1)]), ListSink()

    def stopped_amid_a_call(_: KafkaBatch) -> RetryableError:
        loop.stop()
        return RetryableError("redis", "no answer")

    loop, _ = make(source, sink, stopped_amid_a_call, timings=Timings(chores_every_s=0.0))
    loop.run()
    assert sink.commits == []
    assert source.position == source.base == 0


def test_what_a_dropped_batch_waited_for_is_not_said_for_ever() -> None:
    source, sink = ListSource([event(1)]), ListSink()
    loop, _ = make(source, sink, lambda _: RetryableError("redis", "gone"))
    states: list[State] = []

    def another_worker_takes_it(seconds: float) -> bool:  # noqa: ARG001
        states.append(loop.state)
        source.bodies = []
        return False

    def idle() -> None:
        states.append(loop.state)
        if loop.state is State.RUNNING or len(states) > 100:
            loop.stop()

    source.wait = another_worker_takes_it  # type: ignore[method-assign]
    source.on_idle = idle
    loop.run()
    assert (states[0], states[1], states[-1]) == (State.WAITING, State.WAITING, State.RUNNING)


def test_a_poison_record_is_found_and_its_neighbours_go_on() -> None:
    bodies = [event(n) for n in range(64)]

    def poisoned(batch: KafkaBatch) -> Exception | None:
        return ZeroDivisionError("ours") if any(record.body == bodies[37] for record in batch.records) else None

    source, sink = ListSource(bodies), ListSink()
    loop, _ = make(source, sink, poisoned)
    loop.run()
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
    assert [(part.base, part.end) for part in covered_by(first) + covered_by(second)] == [(0, 3), (3, 7)]
    assert [*first.records, *second.records] == batch.records


def test_waits_for_a_service_with_the_batch_in_hand() -> None:
    answers = [RetryableError("redis", "gone", retry_in_s=0.5)] * 3
    source, sink = ListSource([event(1)]), ListSink()
    loop, metrics = make(source, sink, lambda _: answers.pop() if answers else None)
    loop.run()
    assert len(events(sink)) == 1
    assert sum(source.waits) == 1.5
    assert b'pipeline_service_errors_total{service="redis"} 3.0' in metrics.page()


def test_a_batch_whose_partitions_moved_while_waiting_is_dropped() -> None:
    answers = [RetryableError("redis", "gone", retry_in_s=0.02)]
    source, sink = ListSource([event(1)]), ListSink()
    source.moves_while_waiting = True
    loop, _ = make(source, sink, lambda _: answers.pop() if answers else None)
    loop.run()
    assert len(sink.commits) == 1


def test_a_stale_batch_is_dropped_and_read_again() -> None:
    answers = [StaleBatchError("gone past")]
    source, sink = ListSource([event(1)]), ListSink()
    loop, metrics = make(source, sink, lambda _: answers.pop() if answers else None)
    loop.run()
    assert len(events(sink)) == 1
    assert b'pipeline_batches_dropped_total{why="stale"} 1.0' in metrics.page()


def test_stale_for_ever_says_what_the_ledger_said() -> None:
    source, sink = ListSource([event(1)]), ListSink()
    loop, _ = make(source, sink, lambda _: StaleBatchError("gone past"))
    said: list[tuple[State, str]] = []

    def note(seconds: float) -> bool:  # noqa: ARG001
        said.append((loop.state, loop.why))
        loop.stop()
        return True

    source.wait = note  # type: ignore[method-assign]
    loop.run()
    assert said == [(State.WAITING, "gone past")]
    assert sink.commits == []


def test_over_the_dead_letter_limit_nothing_is_committed_until_it_is_mended() -> None:
    tries: list[float] = []

    def mended(_: KafkaBatch) -> Exception | None:
        tries.append(source.clock.seconds)
        return None

    source, sink = ListSource([b"\xc1"] * 30 + [event(1)]), ListSink()
    loop, _ = make(source, sink, mended, settings=Settings(dead_letters=DeadLetterSettings(min_count=10)))
    states: list[State] = []
    wait = source.wait

    def note_state(seconds: float) -> bool:
        states.append(loop.state)
        if len(tries) >= 3:
            loop.stop()
        return wait(seconds)

    source.wait = note_state  # type: ignore[method-assign]
    loop.run()
    assert sink.commits == []
    assert set(states) == {State.HALTED}
    assert [round(later - earlier) for earlier, later in itertools.pairwise(tries)] == [15, 15]


def test_what_is_too_large_for_its_topic_is_a_dead_letter_and_the_rest_goes_out() -> None:
    bodies = [event(n) for n in range(3)] + [event(3, extra={f"k{n}": "x" * 400 for n in range(30)})]
    source, sink = ListSource(bodies), ListSink()
    loop, metrics = make(source, sink, limits=StageLimits(max_output_bytes=10_000))
    loop.run()
    (letter,) = sink.values("ingest-events-dlq")
    assert letter.value == bodies[3]
    assert dict(letter.headers)["reason"] == b"too_large"
    assert len(events(sink)) == 3
    (accepted,) = [orjson.loads(output.value) for output in sink.values("outcomes")]
    assert accepted["quantity"] == 3
    assert b'pipeline_dead_letters_total{reason="too_large",stage="publish"} 1.0' in metrics.page()


def test_stop_ends_after_the_batch() -> None:
    source, sink = ListSource([event(n) for n in range(500)]), ListSink()
    loop, _ = make(source, sink)
    commit = sink.commit

    def commit_and_stop(*arguments: Any) -> None:
        commit(*arguments)
        loop.stop()

    sink.commit = commit_and_stop  # type: ignore[method-assign, assignment]
    loop.run()
    assert [end for _, end in sink.commits] == [100]
