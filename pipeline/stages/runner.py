"""Run the ordered stages over one batch, and check that nothing disappeared."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from operator import is_
from time import perf_counter

from pipeline.model.category import DataCategory
from pipeline.model.dead_letter import DeadLetter
from pipeline.model.errors import RetryableError, StaleBatchError, describe_failure
from pipeline.model.item import Item
from pipeline.model.outcome import Fate, Outcome
from pipeline.model.record import Record
from pipeline.model.scope import Scope
from pipeline.quotas.ledger import Polled
from pipeline.stages import ERRORS
from pipeline.stages.contract import Batch, Context, Stage, StageResult
from pipeline.stages.decode import decode


class AccountingError(Exception):
    """A stage lost or invented items: a bug of ours, never of the input."""


@dataclass(slots=True)
class BatchResult:
    """All that a batch came to. `events` are the published items; `stage_s` the seconds that each stage took.

    Each list is in the order of the records, so that the batch's size does not show in what is written.
    """

    events: list[Item] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    stage_s: dict[str, float] = field(default_factory=dict)

    def joined(self, later: BatchResult) -> BatchResult:
        """Give both results as one."""
        seconds = {
            stage: self.stage_s.get(stage, 0.0) + later.stage_s.get(stage, 0.0) for stage in {**self.stage_s, **later.stage_s}
        }
        return BatchResult(self.events + later.events, self.outcomes + later.outcomes, self.dead + later.dead, seconds)


def run(records: Sequence[Record], ctx: Context, stages: Sequence[Stage] = ERRORS) -> BatchResult:
    """Take records through decode and the stages.

    A record that dies once it was counted is taken out and the rest runs again: the ledger then takes back what it had charged
    for that record, and decides the others as before.
    Raises RetryableError or StaleBatchError with nothing half done, and whatever a stage that counts raises for several items:
    running again, in smaller batches, counts nothing twice.
    """
    counted = _counted(stages)
    gone, left = BatchResult(), records
    while True:
        result, ctx = _attempt(left, ctx, stages)
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
    order = {id(record): number for number, record in enumerate(records)}  # a file may be read twice: no name tells them apart
    result.outcomes.sort(key=lambda outcome: order[id(outcome.record)])
    result.dead.sort(key=lambda letter: order[id(letter.record)])
    result.outcomes += accepted(result.events, ctx.now)
    return result


def _counted(stages: Sequence[Stage]) -> frozenset[str]:
    """Name the stages from the first that counts on: what dies there was charged to quotas, and perhaps counted in its group."""
    names = [stage.name for stage in stages]
    return frozenset(names[next((at for at, stage in enumerate(stages) if stage.counts), len(names)) :])


def _attempt(records: Sequence[Record], ctx: Context, stages: Sequence[Stage]) -> tuple[BatchResult, Context]:
    """Take records through once. The context that it gives names every organization that was charged, for the next attempt."""
    result = BatchResult()
    started = perf_counter()
    decoded = StageResult()
    for record in records:
        for part in _decoded(record, ctx):
            decoded.add(part)
    finished = perf_counter()
    result.stage_s["decode"] = finished - started
    result.outcomes += decoded.outcomes
    result.dead += decoded.dead

    items: Batch = decoded.kept
    ctx = replace(ctx, polled=_with_organizations(ctx.polled, items))
    for stage in stages:
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


def accepted(events: Iterable[Item], now: float) -> list[Outcome]:
    """Count what was stored: one outcome per project, key and category of the batch (design, section 4).

    What passed while Redis was away, and was counted nowhere, has the reason `uncounted`.
    """
    counts: Counter[tuple[Scope, str | None, DataCategory]] = Counter()
    for item in events:
        counts[item.scope, "uncounted" if item.is_uncounted else None, item.category] += item.quantity
    return [
        Outcome(now, scope, Fate.ACCEPTED, reason, None, category, quantity)
        for (scope, reason, category), quantity in counts.items()
    ]


def _with_organizations(polled: Sequence[Polled], items: Batch) -> tuple[Polled, ...]:
    """Name whose events each partition's part holds, before any filter: the ledger takes back what is not asked for again.

    Those that it names already stay, though their last record was taken out.
    """
    organizations: defaultdict[tuple[str, int], set[int]] = defaultdict(set)
    for item in items:
        organizations[item.record.token[:2]].add(item.scope.organization_id)
    return tuple(
        part._replace(organizations=part.organizations | organizations[part.topic_id, part.partition]) for part in polled
    )


def _decoded(record: Record, ctx: Context) -> Sequence[Item | Outcome | DeadLetter]:
    """Decode one record. Whatever it holds, and whatever it does to us, it ends somewhere."""
    try:
        parts = decode(record, ctx)
    except Exception as error:  # noqa: BLE001 -- a record is bytes from strangers
        return [DeadLetter(record, "decode", "internal", describe_failure(error))]
    if not parts:
        raise AccountingError(f"decode does not account for {record.source} {record.position}")
    return parts


def _run_isolated(stage: Stage, items: Batch, ctx: Context) -> StageResult:
    """Run a stage; where it fails, halve the batch until the one item at fault is found: that one is a dead letter.

    A stage that counts takes back what a call does not name, so its batch must not be halved here: the runtime cuts the records.
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


def _check_accounting(name: str, before: Batch, after: StageResult) -> None:
    """Per category: items in = items kept + outcomes + dead letters."""
    if len(after.kept) == len(before) and not (after.outcomes or after.dead) and all(map(is_, before, after.kept)):
        return  # what most stages do to most batches
    left: Counter[DataCategory] = Counter()
    for item in before:
        left[item.category] += item.quantity
    parts: list[Item | Outcome | DeadLetter] = [*after.kept, *after.outcomes, *after.dead]
    for part in parts:
        left[part.category] -= part.quantity
    lost = {category.label: quantity for category, quantity in left.items() if quantity}
    if lost:
        raise AccountingError(f"stage {name} does not account for {lost}")
