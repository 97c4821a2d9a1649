"""Run an order over one batch of records, and check that nothing disappeared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from operator import is_
from time import perf_counter

from pipeline.model.category import DataCategory
from pipeline.model.dead_letter import DeadLetter
from pipeline.model.errors import RetryableError, StaleBatchError, describe_failure
from pipeline.model.event import Event, RawEvent
from pipeline.model.item import Item
from pipeline.model.outcome import Fate, Outcome
from pipeline.model.record import Record
from pipeline.model.scope import Scope
from pipeline.quotas.ledger import Polled
from pipeline.stages.contract import AnyItem, Context, DecodeFunction, Order, Stage, StageResult


class AccountingError(Exception):
    """The items of a stage's result do not add up to its input. This is a fault of the stage, never of the input."""


@dataclass(slots=True)
class BatchResult:
    """The results of a batch. `events` are the published items, `stage_s` the seconds that each stage took.

    Each list is in the order of the records, so that what is written does not depend on the size of batches.
    """

    events: list[Item[Event]] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    stage_s: dict[str, float] = field(default_factory=dict)

    def joined(self, later: BatchResult) -> BatchResult:
        """Return the sum of both results."""
        seconds = {
            stage: self.stage_s.get(stage, 0.0) + later.stage_s.get(stage, 0.0) for stage in {**self.stage_s, **later.stage_s}
        }
        return BatchResult(self.events + later.events, self.outcomes + later.outcomes, self.dead + later.dead, seconds)


def run(records: Sequence[Record], ctx: Context, order: Order) -> BatchResult:
    """Take records through an order.

    A record that dies after it was counted is taken out and the rest runs again. The ledger then takes back what it had charged
    for that record, and decides the others as before.
    Raises RetryableError, StaleBatchError, and any error of a stage that counts if it has several items. Running the
    records again, also in smaller batches, counts nothing twice.
    """
    counted = _counted(order.stages)
    gone, left = BatchResult(), records
    while True:
        result, ctx = _attempt(left, ctx, order)
        late = {id(letter.record) for letter in result.dead if letter.stage in counted}
        if not late:
            break
        of_late = BatchResult(
            outcomes=[outcome for outcome in result.outcomes if id(outcome.record) in late],
            dead=[letter for letter in result.dead if id(letter.record) in late],
            stage_s=result.stage_s,
        )
        gone = gone.joined(of_late)
        left = [record for record in left if id(record) not in late]
    result = gone.joined(result)
    place = {id(record): number for number, record in enumerate(records)}  # a file may be read twice, so positions are not unique
    result.outcomes.sort(key=lambda outcome: place[id(outcome.record)])
    result.dead.sort(key=lambda letter: place[id(letter.record)])
    result.outcomes += accepted(result.events, ctx.now)
    return result


def _counted(stages: Sequence[Stage]) -> frozenset[str]:
    """Return the names of the first stage that counts and of all after it. Items that die there were charged to quotas."""
    names = [stage.name for stage in stages]
    return frozenset(names[next((at for at, stage in enumerate(stages) if stage.counts), len(names)) :])


def _attempt(records: Sequence[Record], ctx: Context, order: Order) -> tuple[BatchResult, Context]:
    """Take records through once.

    Return the results, and a context for another attempt that names all organizations with charges.
    """
    result = BatchResult()
    started = perf_counter()
    decoded = StageResult()
    for record in records:
        for part in _decoded(record, ctx, order.decode):
            decoded.add(part)
    finished = perf_counter()
    result.stage_s["decode"] = finished - started
    result.outcomes += decoded.outcomes
    result.dead += decoded.dead

    items: Sequence[AnyItem] = decoded.kept
    ctx = replace(ctx, polled=_with_organizations(ctx.polled, items))
    for stage in order.stages:
        started = finished
        step = _run_isolated(stage, items, ctx)
        _check_accounting(stage.name, items, step)
        result.outcomes += step.outcomes
        result.dead += step.dead
        items = step.kept
        finished = perf_counter()
        result.stage_s[stage.name] = finished - started
    result.events = list(items)
    return result, ctx


def accepted(events: Iterable[Item[Event]], now: float) -> list[Outcome]:
    """Return the accepted outcomes: one for each project, key and category of the batch. See docs/spec/outcomes.md.

    Events that passed uncounted while Redis was away have the reason `uncounted`.
    """
    counts: Counter[tuple[Scope, str | None, DataCategory]] = Counter()
    for item in events:
        counts[item.scope, "uncounted" if item.is_uncounted else None, item.category] += item.quantity
    return [
        Outcome(now, scope, Fate.ACCEPTED, reason, None, category, quantity)
        for (scope, reason, category), quantity in counts.items()
    ]


def _with_organizations(polled: Sequence[Polled], items: Sequence[AnyItem]) -> tuple[Polled, ...]:
    """Add to each partition's range the organizations that have events in it, and name replayed dead letters, before any filter.

    The ledger takes back earlier charges of these that are not asked for again. What is named already stays, even if its last
    record was taken out.
    """
    read = [part for part in polled if not part.is_replayed]
    organizations: dict[tuple[str, int], set[int]] = {part[:2]: set(part.organizations) for part in read}
    ranges = {part[:2]: range(part.base, part.end) for part in read}
    replayed = {part: None for part in polled if part.is_replayed}  # a set that keeps its order
    for item in items:
        topic_id, partition, offset = item.record.token
        organization, log = item.scope.organization_id, (topic_id, partition)
        if log in ranges and offset in ranges[log]:
            organizations[log].add(organization)
        elif ranges:
            replayed[Polled(topic_id, partition, offset, offset + 1, frozenset({organization}), is_replayed=True)] = None
    return (*(part._replace(organizations=frozenset(organizations[part[:2]])) for part in read), *replayed)


def _decoded(record: Record, ctx: Context, decode: DecodeFunction) -> Sequence[Item[RawEvent] | Outcome | DeadLetter]:
    """Decode one record. An exception becomes a dead letter, so no record is lost."""
    try:
        parts = decode(record, ctx)
    except Exception as error:  # noqa: BLE001 -- a record may hold anything
        return [DeadLetter(record, "decode", "internal", describe_failure(error))]
    if not parts:
        raise AccountingError(f"decode does not account for {record.source} {record.position}")
    return parts


def _run_isolated(stage: Stage, items: Sequence[AnyItem], ctx: Context) -> StageResult:
    """Run a stage. If it fails, cut the items in halves until the one at fault is alone; that one becomes a dead letter.

    A stage that counts takes back what its call does not name, so its items are not cut here. The runtime cuts the records.
    """
    if not items:
        return stage.run(items, ctx)
    try:
        return stage.run(items, ctx)
    except (RetryableError, StaleBatchError):
        raise
    except Exception as error:
        if len(items) == 1:
            detail = describe_failure(error)
            return StageResult(dead=[items[0].died(stage.name, "internal", detail)])
        if stage.counts:
            raise
    middle = len(items) // 2
    first, second = (_run_isolated(stage, half, ctx) for half in (items[:middle], items[middle:]))
    return StageResult(first.kept + second.kept, first.outcomes + second.outcomes, first.dead + second.dead)


def _check_accounting(name: str, before: Sequence[AnyItem], after: StageResult) -> None:
    """Raise AccountingError unless items in = items kept + outcomes + dead letters, for each category."""
    if len(after.kept) == len(before) and not (after.outcomes or after.dead) and all(map(is_, before, after.kept)):
        return  # the usual case
    left: Counter[DataCategory] = Counter()
    for item in before:
        left[item.category] += item.quantity
    parts: list[AnyItem | Outcome | DeadLetter] = [*after.kept, *after.outcomes, *after.dead]
    for part in parts:
        left[part.category] -= part.quantity
    lost = {category.label: quantity for category, quantity in left.items() if quantity}
    if lost:
        raise AccountingError(f"stage {name} does not account for {lost}")
