"""Hundreds of seeded histories keep every promise, and the simulator notices when a protection is taken away."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from simulation.checks import check
from simulation.mutants import MUTANTS, Mutant, find
from simulation.plan import KINDS, make_plan
from simulation.play import Failure, play, play_seeds, shrink
from simulation.stores import ModelStore, ServerStore
from simulation.world import World

from pipeline.redis.embedded import EmbeddedRedis

HISTORIES = int(os.environ.get("PIPELINE_HISTORIES", "600"))
ON_A_SERVER = 20
BLOCKS = 6
SEEDS_TO_FIND_A_MUTANT = 200
FOUND_SOON = (
    "outputs apart from offsets",
    "bad record drops its batch",
    "offsets trusted",
    "no glance at the topic",
    "commit without membership",
    "nothing taken back",
    "late deaths stay charged",
    "losses unreported",
)
"""Mutants that are found within a few histories. `scripts/simulate --mutants` looks for all of them."""


def assert_kept(failures: Iterator[Failure | None]) -> None:
    for failure in failures:
        if failure is not None:
            pytest.fail(str(shrink(failure, ModelStore())), pytrace=False)


@pytest.mark.parametrize("block", range(BLOCKS))
def test_every_history_keeps_the_promises(block: int) -> None:
    assert_kept(play_seeds(range(block, HISTORIES, BLOCKS), ModelStore()))


@pytest.mark.redis
def test_histories_on_a_real_server_keep_the_promises_and_are_the_same() -> None:
    with EmbeddedRedis() as server:
        store = ServerStore(server.url)
        # A full server is modelled before the script is looked for, so that a history may differ by a call.
        plans = [plan for plan in map(make_plan, range(2 * ON_A_SERVER)) if "redis full" not in plan.kinds][:ON_A_SERVER]
        for plan in plans:
            real, model = World(plan, store), World(plan, ModelStore())
            real.run()
            check(real)
            model.run()
            assert real.lines == model.lines, f"seed {plan.seed}"


@pytest.mark.parametrize("mutant", [mutant for mutant in MUTANTS if mutant.name in FOUND_SOON], ids=lambda mutant: mutant.name)
def test_a_missing_protection_is_found(mutant: Mutant) -> None:
    played, failure = find(mutant, SEEDS_TO_FIND_A_MUTANT)
    assert failure is not None, f"{played} histories without {mutant.name} broke no promise"


def test_every_kind_of_fault_befalls_many_histories() -> None:
    plans = [make_plan(seed) for seed in range(HISTORIES)]
    for kind in KINDS:
        assert sum(kind in plan.kinds for plan in plans) >= HISTORIES / 50, kind


def test_a_failing_history_is_made_small() -> None:
    """A worker that acknowledges what it never wrote is found with a record or two, and a fault at most."""

    class WithoutOutputs(World):
        @property
        def places(self) -> list[object]:  # type: ignore[override]
            return []

    failure = play(make_plan(1), ModelStore(), WithoutOutputs)
    assert failure is not None
    small = shrink(failure, ModelStore(), WithoutOutputs)
    assert len(small.plan.inputs) == 1
    assert not small.plan.faults
    assert "a record has 0 places" in str(small)
    assert "scripts/simulate --runs 1 --seed 1" in str(small)


def test_the_same_seed_gives_the_same_history() -> None:
    first, second = World(make_plan(7), ModelStore()), World(make_plan(7), ModelStore())
    first.run()
    second.run()
    assert first.lines == second.lines
