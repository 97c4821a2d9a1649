"""Plans: what a history begins with and what befalls it, as data. The same plan always gives the same history.

A plan is made from a seed, and made smaller when its history breaks a promise: what is left is what a person has to read.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

VERSIONS = 3
"""So many versions of the rules there are. Some histories change them on the way."""
FAULTY_STEPS = 350

WORKERS = ("kill", "freeze", "join", "stop", "rebalance")
BROKER = ("broker away", "commit late", "commit unanswered", "partitions added")
REDIS = ("redis away", "redis unanswered", "redis late", "redis full", "scripts flushed")
LOSSES = ("redis emptied", "redis loses last writes", "redis evicts")
BREAKS = ("retention", "topic made again", "log loses its tail")
OTHER = ("new rules", "dead letters replayed")
KINDS = (*WORKERS, *BROKER, *REDIS, *LOSSES, *BREAKS, *OTHER)


@dataclass(frozen=True)
class Input:
    """A record that somebody sends at a step. `gap` offsets before it hold transaction markers.

    `kind` is event; poison (decode fails); late (dies after it was counted, under the rules of `bad_in`); dropped (a filter takes
    it, under `bad_in`); bomb, counting bomb (a stage that sees whole batches fails).
    """

    uid: int
    step: int
    partition: int
    kind: str
    event_id: int
    project: int
    quantity: int
    window: int
    groups: tuple[int, ...]
    bad_in: frozenset[int] = frozenset()
    gap: int = 0

    def __str__(self) -> str:
        bad = f" under rules {sorted(self.bad_in)}" if self.bad_in else ""
        groups = self.groups[0] if len(set(self.groups)) == 1 else self.groups
        return (
            f"record {self.uid} ({self.kind}{bad}) on partition {self.partition} at step {self.step}: id {self.event_id}, "
            f"project {self.project}, window {self.window}, group {groups}, quantity {self.quantity}"
        )


@dataclass(frozen=True)
class Fault:
    """Something that happens at a step. `who` picks a worker, a partition or keys; `amount` is in seconds, records or writes."""

    step: int
    kind: str
    who: int
    amount: float

    def __str__(self) -> str:
        return f"step {self.step}: {self.kind} (who {self.who}, amount {self.amount:.1f})"


@dataclass(frozen=True)
class Plan:
    """Everything that decides a history. Limits that are None are not there."""

    seed: int
    partitions: int
    workers: int
    duplicates: bool
    remember_s: float
    limits: tuple[int, int | None, int | None]
    """Of a project, of the organization, and of a group."""
    inputs: tuple[Input, ...]
    faults: tuple[Fault, ...]

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of faults in it."""
        return frozenset(fault.kind for fault in self.faults)

    def __str__(self) -> str:
        project, organization, group = self.limits
        head = (
            f"{self.workers} workers, {self.partitions} partitions, duplicates {'refused' if self.duplicates else 'taken'}, "
            f"limits: project {project}, organization {organization}, group {group}"
        )
        return "\n".join([head, *map(str, self.inputs), *map(str, self.faults)])


def make_plan(seed: int) -> Plan:
    """Return the plan of a seed. Each history has some kinds of faults and not the others, so that rare ones meet undisturbed."""
    rng = random.Random(seed)
    kinds = [kind for kind in (*WORKERS, *BROKER, *REDIS, *OTHER) if rng.random() < 0.45]
    kinds += [kind for kind in LOSSES if rng.random() < 0.08]
    kinds += [kind for kind in BREAKS if rng.random() < 0.1]
    faults = [_fault(rng, rng.choice(kinds)) for _ in range(rng.randint(1, 16)) if kinds]
    partitions = rng.randint(1, 3)
    is_regrouping = "new rules" in kinds and rng.random() < 0.5
    few = rng.random() < 0.5
    return Plan(
        seed,
        partitions,
        rng.randint(1, 3),
        rng.random() < 0.6,
        rng.choice([0.0, 1.0]),
        (rng.randint(3, 30), rng.choice([None, rng.randint(3, 40)]), rng.choice([None, None, rng.randint(1, 6)])),
        tuple(_input(rng, uid, partitions, is_regrouping=is_regrouping) for uid in range(rng.randint(3, 14 if few else 45))),
        tuple(sorted(faults, key=lambda fault: fault.step)),
    )


def _fault(rng: random.Random, kind: str) -> Fault:
    amounts = [3.0, 12.0, 25.0, 90.0, 90.0] if kind == "freeze" else [0.1, 1.0, 3.0, 8.0, 12.0, 25.0, 90.0]
    return Fault(rng.choice([rng.randint(1, 90), rng.randint(1, FAULTY_STEPS)]), kind, rng.randrange(1_000), rng.choice(amounts))


def _input(rng: random.Random, uid: int, partitions: int, *, is_regrouping: bool) -> Input:
    kind = rng.choices(["event", "poison", "late", "dropped", "bomb", "counting bomb"], [80, 3, 6, 6, 2, 3])[0]
    group = rng.randint(0, 4)
    groups = tuple(rng.randint(0, 4) for _ in range(VERSIONS)) if is_regrouping else (group,) * VERSIONS
    is_conditional = kind in {"late", "dropped"}
    bad_in = frozenset(version for version in range(VERSIONS) if rng.random() < 0.6) if is_conditional else frozenset()
    return Input(
        uid,
        rng.choice([0, 0, 0, rng.randint(0, FAULTY_STEPS)]),
        rng.randrange(partitions),
        kind,
        rng.randint(0, 60),
        rng.choice([1, 1, 2]),
        rng.choice([1, 1, 1, 3]),
        rng.choice([0, 0, 1]),
        groups,
        bad_in,
        rng.choice([0] * 9 + [1]),
    )


def smaller(plan: Plan) -> Iterable[Plan]:
    """Yield plans that hold less than this one: first with half of the faults or records gone, then with one of them gone."""
    for part in ("faults", "inputs"):
        items: tuple[Any, ...] = getattr(plan, part)
        size = max(1, len(items) // 2)
        while items:
            for start in range(0, len(items), size):
                fewer: dict[str, Any] = {part: (*items[:start], *items[start + size :])}
                yield replace(plan, **fewer)
            if size == 1:
                break
            size //= 2
    if plan.workers > 1:
        yield replace(plan, workers=plan.workers - 1)
    if plan.partitions > 1:
        last = plan.partitions - 1
        moved = tuple(replace(record, partition=min(record.partition, last - 1)) for record in plan.inputs)
        yield replace(plan, partitions=last, inputs=moved)
    project, organization, group = plan.limits
    if organization is not None or group is not None:
        yield replace(plan, limits=(project, None, None))
    for at, record in enumerate(plan.inputs):
        plain = replace(record, step=0, gap=0, quantity=1, window=0)
        if plain != record:
            yield replace(plan, inputs=(*plan.inputs[:at], plain, *plan.inputs[at + 1 :]))
