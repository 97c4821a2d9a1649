"""What a stage may use and must promise.

A stage is a function from a batch to a batch and outcomes: items in = items kept + outcomes + dead letters, same order.
It reads the clock, the rules, the artifacts and the ledger only from its context. Most stages look at one event at a time:
`each` makes a stage of such a function, and turns an exception into that one event's dead letter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from pipeline.model.dead_letter import DeadLetter
from pipeline.model.errors import RetryableError, StaleBatchError, describe_failure
from pipeline.model.item import Item
from pipeline.model.outcome import Outcome
from pipeline.quotas.ledger import Ledger, Polled
from pipeline.rules.snapshot import Rules
from pipeline.sourcemaps.artifacts import Artifacts

T = TypeVar("T")

Batch = Sequence[Item]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that stages hold inputs to; the settings file sets them."""

    max_record_bytes: int = 10_000_000
    unknown_projects: str = "accept"
    max_output_bytes: int = 25_000_000
    """What the storage topic takes as one record."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a stage may read. `now` is in epoch seconds; `polled` says which offsets this batch covers."""

    now: float
    rules: Rules
    ledger: Ledger
    artifacts: Artifacts | None = None
    polled: Sequence[Polled] = ()
    limits: Limits = field(default_factory=Limits)


@dataclass(slots=True)
class StageResult:
    """Where the items of a batch went: on to the next stage, to an outcome, or to a dead letter."""

    kept: list[Item] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)

    def add(self, result: Item | Outcome | DeadLetter) -> None:
        """Put one item's result where it belongs."""
        if isinstance(result, Item):
            self.kept.append(result)
        elif isinstance(result, Outcome):
            self.outcomes.append(result)
        else:
            self.dead.append(result)


StageFunction = Callable[[Batch, Context], StageResult]
ItemFunction = Callable[[Item, Context], Item | Outcome | DeadLetter]


@dataclass(frozen=True, slots=True)
class Stage:
    """A named step of the order. One that `counts` is told what a batch covers, so that a part of it is another batch."""

    name: str
    run: StageFunction
    counts: bool = False


def each(name: str, function: ItemFunction) -> Stage:
    """Make a stage of a function of one item. The function may change its item: a failed item is never run again."""

    def run(batch: Batch, ctx: Context) -> StageResult:
        result = StageResult()
        for item in batch:
            try:
                result.add(function(item, ctx))
            except (RetryableError, StaleBatchError):
                raise
            except Exception as error:  # noqa: BLE001 -- whatever one event does to us, its neighbours go on
                result.dead.append(item.died(name, "internal", describe_failure(error)))
        return result

    return Stage(name, run)


def prepare(name: str, batch: Batch, question: Callable[[Item], T], result: StageResult) -> tuple[list[Item], list[T]]:
    """Make each item's question to the ledger, for the stage `name`. Gives the items that ask, and what they ask, same order.

    The ledger must hear of the whole batch at once, so an item whose question cannot be made leaves it here, as a dead letter.
    """
    asking: list[Item] = []
    questions: list[T] = []
    for item in batch:
        try:
            questions.append(question(item))
        except Exception as error:  # noqa: BLE001 -- whatever one event does to us, its neighbours go on
            result.dead.append(item.died(name, "internal", describe_failure(error)))
        else:
            asking.append(item)
    return asking, questions
