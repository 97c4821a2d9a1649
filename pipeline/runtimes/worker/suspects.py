"""Finds records that kill or hang their worker, from the deaths of workers. The supervisor passes these to each new worker.

A death counts if the worker's own work may have caused it: a signal that the kernel sends for a fault, an exit of native code,
too much memory, or no progress for too long. A kill from outside never counts.

After the first death, all records of the worker's batch are suspects. They are then processed one at a time, each in its own
transaction, so a second and a third death concern one record. A record becomes a dead letter only if it was in hand at three
deaths, and alone at the last two.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from pipeline.runtimes.worker.in_hand import Hand, InHand, ranges_of

if TYPE_CHECKING:
    from pipeline.kafka.batch import KafkaBatch

DEATHS = 3
ALONE = 2
KEPT_DEATHS = 200
MAX_GIVEN_UP = 10
"""If more records than this kill workers, the release is probably at fault, and no further record is given up."""


class Cause(StrEnum):
    """Causes of a worker's death for which a record may be responsible."""

    FAULT = "fault"
    """A signal for a fault in native code, such as SIGSEGV."""
    EXIT = "exit"
    """Native code ended the process."""
    MEMORY = "memory"
    """The kernel killed it, because the memory of its container was used up."""
    HANG = "hang"
    """It made no progress, and its supervisor killed it."""


class Death(NamedTuple):
    """One death, with what the worker was working on. `text` describes it, for instance `SIGSEGV`."""

    cause: Cause
    text: str
    hand: Hand


class SuspectBatchError(Exception):
    """A batch holds records that a worker died with. The loop cuts it until they are alone."""


class Verdict(NamedTuple):
    """Why a record becomes a dead letter: the stage that it dies in, a reason and a detail."""

    stage: str
    reason: str
    detail: str


class Suspects:
    """The deaths of earlier workers, and what follows from them for a batch."""

    def __init__(self, deaths: Sequence[Death] = (), totals: Mapping[Cause, int] = MappingProxyType({})) -> None:
        self.deaths = tuple(deaths)
        self.totals = totals
        """How many workers died, by cause, including deaths that are no longer kept."""
        guilty = {self._key(death.hand) for death in self.deaths if death.hand.is_alone and self._is_guilty(death.hand)}
        self.is_over_limit = len(guilty) > MAX_GIVEN_UP

    def includes(self, batch: KafkaBatch) -> bool:
        """Whether a worker died with one of these records in hand, so that they must be worked on one at a time."""
        return bool(self.deaths) and self._holds(Hand(ranges_of(batch), is_alone=False, stage=""))

    def verdict(self, batch: KafkaBatch) -> Verdict | None:
        """Return why the one record of a batch must not be tried again, or None if it may be."""
        hand = Hand(ranges_of(batch), is_alone=True, stage="")
        if self.is_over_limit or not self._is_guilty(hand):
            return None
        deaths = [death for death in self.deaths if death.hand.holds(hand.ranges)]
        alone = [death for death in deaths if death.hand.is_alone]
        hung = all(death.cause is Cause.HANG for death in alone)
        stage = Counter(death.hand.stage for death in alone).most_common(1)[0][0]
        texts = ", ".join(death.text for death in deaths)
        return Verdict(
            stage,
            "hangs_worker" if hung else "kills_worker",
            f"{len(deaths)} workers ended with it in hand, {len(alone)} of them with nothing else: {texts}",
        )

    def with_death(self, death: Death) -> Suspects:
        """Return the suspects after one more death. Only the last deaths are kept."""
        totals = {**self.totals, death.cause: self.totals.get(death.cause, 0) + 1}
        return Suspects([*self.deaths, death][-KEPT_DEATHS:], totals)

    def _holds(self, hand: Hand) -> bool:
        return any(death.hand.holds(hand.ranges) for death in self.deaths)

    def _is_guilty(self, hand: Hand) -> bool:
        deaths = [death for death in self.deaths if death.hand.holds(hand.ranges)]
        return len(deaths) >= DEATHS and sum(death.hand.is_alone for death in deaths) >= ALONE

    @staticmethod
    def _key(hand: Hand) -> tuple[object, ...]:
        return tuple(sorted(hand.ranges.items()))


class Supervised(NamedTuple):
    """What a supervisor passes to its worker: the note of what it has in hand, and the suspects."""

    in_hand: InHand
    suspects: Suspects
