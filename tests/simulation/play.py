"""Plays seeds one after the other, and makes the history of a failing seed as small as it gets."""

from __future__ import annotations

import gc
import re
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from simulation.checks import check
from simulation.plan import Plan, make_plan, smaller
from simulation.stores import Store
from simulation.world import BrokenHistoryError, World

SHRINK_S = 30.0
SHOWN_LINES = 150


class Failure(NamedTuple):
    """A history that broke a promise."""

    seed: int
    promise: str
    plan: Plan
    lines: list[str]

    def __str__(self) -> str:
        """Print as a person reads it: what was there, what happened, and which promise was broken."""
        left_out = ["..."] if len(self.lines) > SHOWN_LINES else []
        return "\n".join(
            [
                f"seed {self.seed} broke a promise: {self.promise}",
                "",
                "What was there, and what befell it:",
                str(self.plan),
                "",
                "   step    time",
                *left_out,
                *self.lines[-SHOWN_LINES:],
                "",
                f"broken: {self.promise}",
                f"play it again: scripts/simulate --runs 1 --seed {self.seed}",
            ]
        )


def play(plan: Plan, store: Store, kind: type[World] = World) -> Failure | None:
    """Play one history. Return what went wrong, if anything did."""
    world = kind(plan, store)
    try:
        world.run()
        check(world)
    except BrokenHistoryError as error:
        return Failure(plan.seed, error.promise, plan, world.lines)
    return None


def play_seeds(seeds: Iterable[int], store: Store, kind: type[World] = World) -> Iterator[Failure | None]:
    """Play the history of each seed."""
    was_enabled = gc.isenabled()
    for number, seed in enumerate(seeds):
        gc.disable()  # a history is a few thousand objects, and collecting while it runs costs a third of the time
        try:
            yield play(make_plan(seed), store, kind)
        finally:
            if was_enabled:
                gc.enable()
        if number % 20 == 0:
            gc.collect()


def shrink(failure: Failure, store: Store, kind: type[World] = World, within_s: float = SHRINK_S) -> Failure:
    """Return the smallest history found that breaks the same promise."""
    until = time.monotonic() + within_s
    while True:
        for plan in smaller(failure.plan):
            if time.monotonic() > until:
                return failure
            found = play(plan, store, kind)
            if found is not None and kind_of(found.promise) == kind_of(failure.promise):
                failure = found
                break
        else:
            return failure


def kind_of(promise: str) -> str:
    """Return what a broken promise is about, without the numbers that differ from history to history."""
    if places := re.search(r"a record has (\d+) places", promise):
        return places[0]
    return re.sub(r"\d+", "#", promise.partition(":")[0])
