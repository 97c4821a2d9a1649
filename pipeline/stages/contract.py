"""What a stage may use, and what it promises.

A stage is a function from a batch to a batch and outcomes: items in = items kept + outcomes + dead letters, same order.
It reads the clock, the rules, the artifacts and the ledger only from its context. Most stages look at one event at a time.
`each` makes a stage of such a function. An exception in it becomes that event's dead letter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pipeline.model.dead_letter import DeadLetter
from pipeline.model.errors import RetryableError, StaleBatchError, describe_failure
from pipeline.model.event import Event, RawEvent
from pipeline.model.item import Item
from pipeline.model.known_stack import KnownStacks
from pipeline.model.outcome import Outcome
from pipeline.model.record import Record
from pipeline.quotas.ledger import Ledger, Polled
from pipeline.rules.snapshot import Rules
from pipeline.sourcemaps.artifacts import Artifacts

T = TypeVar("T")

Items = Sequence[Item[Event]]
"""What every stage after normalize takes."""

AnyItem = Item[Any]
"""An item before or after normalize, for those who do not look into its event."""


@dataclass(frozen=True, slots=True)
class StageLimits:
    """Bounds that stages enforce. They come from the settings."""

    max_record_bytes: int = 10_000_000
    unknown_projects: str = "accept"
    max_output_bytes: int = 25_000_000
    """Size of the largest record that the storage topic takes."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a stage may read. `now` is in epoch seconds. `polled` names the offsets that the batch covers."""

    now: float
    rules: Rules
    ledger: Ledger
    artifacts: Artifacts | None = None
    polled: Sequence[Polled] = ()
    limits: StageLimits = field(default_factory=StageLimits)
    known_stacks: KnownStacks | None = None
    """Stacks that came before. Without them every event is taken through the stages whole, at a higher cost."""


@dataclass(slots=True)
class StageResult:
    """Where the items went: on to the next stage, to an outcome, or to a dead letter."""

    kept: list[AnyItem] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)

    def add(self, result: AnyItem | Outcome | DeadLetter) -> None:
        """Add one item's result to the right list."""
        if isinstance(result, Item):
            self.kept.append(result)
        elif isinstance(result, Outcome):
            self.outcomes.append(result)
        else:
            self.dead.append(result)


StageFunction = Callable[[Sequence[AnyItem], Context], StageResult]
ItemFunction = Callable[[AnyItem, Context], AnyItem | Outcome | DeadLetter]


@dataclass(frozen=True, slots=True)
class Stage:
    """A named step of the order.

    A stage that `counts` must get the whole batch, because its call names all that the batch covers.
    """

    name: str
    run: StageFunction
    counts: bool = False


DecodeFunction = Callable[[Record, Context], Sequence[Item[RawEvent] | Outcome | DeadLetter]]
"""Decodes one record. The result is never empty, because every record becomes at least one item, outcome or dead letter."""


@dataclass(frozen=True, slots=True)
class Order:
    """How a record is taken apart, and the stages that its items go through, in order."""

    decode: DecodeFunction
    stages: tuple[Stage, ...]

    def only(self, *names: str) -> Order:
        """Return the order with the named stages alone."""
        return Order(self.decode, tuple(stage for stage in self.stages if stage.name in names))


def each(name: str, function: ItemFunction) -> Stage:
    """Return a stage that calls a function for each item.

    The function may change its item, since a failed item is not run again.
    """

    def run(batch: Sequence[AnyItem], ctx: Context) -> StageResult:
        result = StageResult()
        for item in batch:
            try:
                result.add(function(item, ctx))
            except (RetryableError, StaleBatchError):
                raise
            except Exception as error:  # noqa: BLE001 -- the other events of the batch must go on
                result.dead.append(item.died(name, "internal", describe_failure(error)))
        return result

    return Stage(name, run)


def prepare(
    name: str, batch: Items, question: Callable[[Item[Event]], T], result: StageResult
) -> tuple[list[Item[Event]], list[T]]:
    """Make each item's question to the ledger for the stage `name`. Return the items and their questions, in the same order.

    The ledger is asked for the whole batch at once. An item whose question cannot be made becomes a dead letter in `result`.
    """
    asking: list[Item[Event]] = []
    questions: list[T] = []
    for item in batch:
        try:
            questions.append(question(item))
        except Exception as error:  # noqa: BLE001 -- the other events of the batch must go on
            result.dead.append(item.died(name, "internal", describe_failure(error)))
        else:
            asking.append(item)
    return asking, questions
