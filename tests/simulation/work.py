"""The work of a simulated worker: the real runner, the real stages that ask the ledger, and cheap stages around them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from simulation.plan import Input, Plan

from pipeline.kafka.batch import KafkaBatch, encode_token, place_of
from pipeline.model.category import DataCategory
from pipeline.model.dead_letter import DeadLetter
from pipeline.model.grouping import Grouping
from pipeline.model.item import Item
from pipeline.model.outcome import Fate, Outcome
from pipeline.model.record import Output, Outputs, Record
from pipeline.model.scope import Scope
from pipeline.quotas.model import Quota, QuotaScope
from pipeline.quotas.redis_ledger import RedisLedger
from pipeline.runtimes.clock import Clock
from pipeline.runtimes.worker.work import covered_by
from pipeline.stages.admit import admit_events
from pipeline.stages.contract import AnyItem, Context, Items, Order, Stage, StageResult, each
from pipeline.stages.count import count_events
from pipeline.stages.runner import BatchResult, run

SERIAL_HEADER = "serial"
WINDOW_S = 3_600
ORGANIZATION = 1
RETENTION_DAYS = 90


@dataclass(frozen=True)
class Place:
    """Where a record ended. `what` is event, dead letter, or the reason of its outcome; `serial` is that of the record sent."""

    serial: int
    partition: int
    offset: int
    what: str
    version: int
    group: int = 0
    is_new: bool = False


class Rules:
    """One version of the rules, as far as the stages ask for them. `start` is when the first window begins."""

    def __init__(self, plan: Plan, version: int, start: float) -> None:
        self.version, self.start = version, start
        self.inputs = {record.uid: record for record in plan.inputs}
        project, organization, group = plan.limits
        self.limits = (project + 2 * version, organization and organization + 3 * version, group)
        quotas = [Quota("project", QuotaScope.PROJECT, limit=self.limits[0], window_s=WINDOW_S, reason_code="project")]
        if organization is not None:
            quotas.append(Quota("org", limit=self.limits[1], window_s=WINDOW_S, reason_code="organization"))
        if group is not None:
            quotas.append(Quota("group", QuotaScope.GROUP, limit=group, window_s=WINDOW_S, reason_code="group"))
        self._project = SimpleNamespace(quotas=tuple(quotas), project=SimpleNamespace(retention_days=RETENTION_DAYS))

    def project(self, _: int) -> Any:
        return self._project


class Work:
    """Implements the loop's work. `versions` are all rules, `version` returns the number of those in force."""

    def __init__(self, ledger: RedisLedger, clock: Clock, versions: list[Rules], version: Callable[[], int]) -> None:
        self._ledger, self._clock, self._versions, self._version = ledger, clock, versions, version
        self.check = ledger.check

    def run(self, batch: KafkaBatch) -> Result:
        rules: Any = self._versions[self._version()]
        if any(input_of(record, rules).kind == "bomb" for record in batch.records):
            raise ValueError("a bomb")
        context = Context(self._clock.now(), rules, self._ledger, polled=covered_by(batch))
        return Result(batch, run(batch.records, context, ORDER), rules.version)

    def give_up(self, batch: KafkaBatch, error: Exception) -> Result:
        return Result(batch, BatchResult(dead=[DeadLetter(batch.records[0], "worker", "internal", str(error))]), self._version())

    def committed(self, *_: object) -> None: ...


class Result:
    """What the stages made of a batch, and where each record ended."""

    def __init__(self, batch: KafkaBatch, result: BatchResult, version: int) -> None:
        self.dead = result.dead
        serials = {place: int(headers[SERIAL_HEADER]) for place, headers in batch.headers.items()}

        def output(record: Record, what: str, **more: Any) -> tuple[tuple[int, int], Any]:
            place = place_of(record)
            return place, Place(serials[place], *place, what, version, **more)

        ended = [output(i.record, "event", group=_marks(i)["group"], is_new=i.is_new_group) for i in result.events]
        ended += [output(outcome.record, outcome.reason or "") for outcome in result.outcomes if outcome.record is not None]
        ended += [output(letter.record, "dead letter") for letter in result.dead]
        self.outputs: Outputs = {
            "out": [Output(None, place, []) for _, place in sorted(ended, key=lambda pair: pair[0])],
            "dead": [_letter(letter, batch) for letter in result.dead],
        }


def input_of(record: Record, rules: Any) -> Input:
    found: Input = rules.inputs[int(record.body)]
    return found


def _letter(letter: DeadLetter, batch: KafkaBatch) -> Output:
    record = letter.record
    first_failure = batch.headers.get(record.position, {}).get("pipeline-first-failure", b"now")
    headers = [
        ("token", encode_token(record.token)),
        ("received", repr(record.received).encode()),
        ("first-failure", first_failure),
    ]
    return Output(None, record.body, headers)


def _decode(record: Record, ctx: Context) -> list[AnyItem | Outcome | DeadLetter]:
    sent = input_of(record, ctx.rules)
    if sent.kind == "poison":
        raise ValueError("poison")
    rules: Any = ctx.rules
    received = rules.start + WINDOW_S * sent.window
    scope = Scope(ORGANIZATION, sent.project)
    event: Any = {"sent": sent, "group": sent.groups[rules.version], "timestamp": received}
    return [Item(record, scope, DataCategory.ERROR, sent.quantity, received, f"{2 * sent.event_id + sent.window:032x}", event)]


def _filter(item: AnyItem, ctx: Context) -> AnyItem | Outcome:
    rules: Any = ctx.rules
    sent = item.event["sent"]
    if sent.kind == "dropped" and rules.version in sent.bad_in:
        return item.rejected(Fate.FILTERED, "dropped")
    return item


def _group(item: AnyItem, _: Context) -> AnyItem:
    item.grouping = Grouping((hash_of(item.event["group"]),), ())
    return item


def _count(items: Items, ctx: Context) -> StageResult:
    if any(_marks(item)["sent"].kind == "counting bomb" for item in items):
        raise ValueError("a bomb in the stage that counts")
    return count_events(items, ctx)


def _publish(item: AnyItem, ctx: Context) -> AnyItem | DeadLetter:
    rules: Any = ctx.rules
    sent = item.event["sent"]
    if sent.kind == "late" and rules.version in sent.bad_in:
        return item.died("publish", "too_large")
    return item


def _marks(item: AnyItem) -> Any:
    """Return the event, which holds what the simulator put there instead of an SDK."""
    return item.event


def hash_of(group: int) -> str:
    return f"{group:032x}"


ORDER = Order(
    _decode,
    (
        each("filter", _filter),
        Stage("admit", admit_events, counts=True),
        each("group", _group),
        Stage("count", _count, counts=True),
        each("publish", _publish),
    ),
)
