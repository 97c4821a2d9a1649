"""A small world for the quota property tests: records on partitions, workers that crash, and what was published.

The model is the promise itself: whatever happened on the way, the counters hold what the published decisions add up to.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from pipeline.model.category import DataCategory
from pipeline.model.errors import StaleBatchError
from pipeline.model.outcome import Fate
from pipeline.model.record import Token
from pipeline.model.scope import Scope
from pipeline.quotas.ledger import Claim, Counted, Decision, Polled, Sighting
from pipeline.quotas.model import Quota, QuotaScope
from pipeline.quotas.redis_ledger import RedisLedger

START = 4_102_444_800.0
TOPIC = "world"
VERSIONS = 3


@dataclass(frozen=True)
class Seen:
    """One record. `filtered` and `dies` name the versions of the rules under which it is dropped before admit, or after it.

    `groups` holds its group under each version of the rules. A record that `dies_late` is counted, but never published.
    """

    token: Token
    scope: Scope
    event_id: str
    quantity: int
    received: float
    groups: tuple[int, ...]
    shared_hash: bool
    filtered: frozenset[int]
    dies: frozenset[int]
    dies_late: bool = False
    first_life: Token | None = None

    def hashes(self, version: int) -> tuple[str, ...]:
        project = self.scope.project_id
        return (f"{project}-{self.groups[version]}", *((f"{project}-shared",) if self.shared_hash else ()))

    def group_key(self, version: int) -> str:
        return f"group:{{{self.scope.organization_id}}}{self.scope.project_id}:{self.groups[version]}"

    @property
    def identity(self) -> Token:
        """What its effects are known by: a replayed dead letter keeps the token of its first life."""
        return self.first_life or self.token


@dataclass(frozen=True)
class Frozen:
    """A call that a worker was about to make when it froze."""

    polled: tuple[Polled, ...]
    records: tuple[Seen, ...]
    version: int
    now: float
    is_count: bool


@dataclass
class World:
    """`published` holds, for each committed offset, what admit and count decided, and under which version of the rules.

    A decision is None where the event did not come so far.
    """

    rng: random.Random
    new_worker: Callable[[], RedisLedger]
    partitions: list[list[Seen]] = field(default_factory=list)
    committed: list[int] = field(default_factory=list)
    published: dict[Token, tuple[Seen, Decision | None, Counted | None, int]] = field(default_factory=dict)
    version: int = 0
    now: float = START
    frozen: list[Frozen] = field(default_factory=list)
    stale: int = 0
    owners: dict[int, RedisLedger] = field(default_factory=dict)
    replays: bool = False
    """Whether some of the records are replayed dead letters."""
    regroups: bool = False
    """Whether a record's group depends on the version of the rules."""
    late_deaths: bool = False
    """Whether records may die after they were counted."""

    def __post_init__(self) -> None:
        rng = self.rng
        for partition in range(rng.randint(1, 3)):
            offset, records = 0, []
            for _ in range(rng.randint(4, 14)):
                offset += rng.choice([1, 1, 1, 2, 5])
                records.append(self._record(Token(TOPIC, partition, offset)))
            self.partitions.append(records)
            self.committed.append(0)

    def _record(self, token: Token) -> Seen:
        rng = self.rng
        organization = rng.choice([1, 1, 2])
        scope = Scope(organization, organization * 10 + rng.randint(0, 1), rng.choice([None, 7]))
        groups = (rng.randint(0, 3),) * VERSIONS
        shared = rng.random() < 0.2
        versions = range(VERSIONS)
        return Seen(
            token,
            scope,
            f"{rng.randint(0, 25):032x}",
            rng.choice([1, 1, 1, 3]),
            START + rng.choice([0, 10, 45]),
            (*groups[:1], *(rng.randint(0, 3) for _ in versions[1:])) if self.regroups else groups,
            shared,
            frozenset(version for version in versions if rng.random() < 0.15),
            frozenset(version for version in versions if rng.random() < 0.05),
            self.late_deaths and rng.random() < 0.2,
            Token("first", 1 - token.partition % 2, token.offset * 8 + token.partition)
            if self.replays and rng.random() < 0.6
            else None,
        )

    def quotas(self, version: int) -> tuple[Quota, ...]:
        """Limits move with the version of the rules, counters do not: so what was published says what must have been charged."""
        return (
            Quota("org", QuotaScope.ORGANIZATION, limit=8 + 4 * version, window_s=60, reason_code="org"),
            Quota("seen", QuotaScope.PROJECT, limit=None, window_s=30),
            Quota("project", QuotaScope.PROJECT, limit=6, window_s=60, reason_code="project"),
            Quota("key", QuotaScope.KEY, limit=5, window_s=3600, reason_code="key"),
            Quota("group", QuotaScope.GROUP, limit=2 + version, window_s=3600, reason_code="group"),
        )

    @property
    def is_done(self) -> bool:
        return all(not self._left(partition) for partition in range(len(self.partitions)))

    def _left(self, partition: int) -> list[Seen]:
        return [record for record in self.partitions[partition] if record.token.offset >= self.committed[partition]]

    def attempt(self, ledger: RedisLedger, *, end_well: bool = False, never_crashes: bool = False) -> None:
        """Poll some partitions from where they are committed, and go on until the batch is committed, or the worker crashes."""
        rng = self.rng
        self.now += 1
        chosen = [p for p in range(len(self.partitions)) if end_well or rng.random() < 0.6]
        polled, records = [], []
        for partition in chosen:
            left = self._left(partition)
            if not left:
                continue
            before = self.owners.get(partition)
            if before is not None and before is not ledger:
                before.forget()  # a rebalance tells the worker that loses a partition
            self.owners[partition] = ledger
            take = left if end_well else left[: rng.randint(1, len(left))]
            end = take[-1].token.offset + 1
            organizations = frozenset(record.scope.organization_id for record in take)
            polled.append(Polled(TOPIC, partition, self.committed[partition], end, organizations))
            records += take
        if not polled:
            return
        crash = None if end_well or never_crashes else rng.choice(["before", "admitted", "counted", "frozen", None, None, None])
        batch = Frozen(tuple(polled), tuple(records), self.version, self.now, is_count=rng.random() < 0.3)
        if crash == "frozen" or (not never_crashes and rng.random() < 0.1):
            self.frozen.append(batch)
        if crash in {"before", "frozen"}:
            return
        try:
            self._run(ledger, batch, crash)
        except StaleBatchError:
            self.stale += 1

    def _run(self, ledger: RedisLedger, batch: Frozen, crash: str | None) -> None:
        decisions = self.admit(ledger, batch)
        if crash == "admitted":
            return
        self._maybe_wake()
        counted = self.count(ledger, batch, decisions)
        if crash == "counted":
            return
        if any(record.dies_late for record in batch.records):  # the rest is run again, as `pipeline.stages.runner.run` does it
            batch = replace(batch, records=tuple(record for record in batch.records if not record.dies_late))
            decisions = self.admit(ledger, batch)
            counted = self.count(ledger, batch, decisions)
        self._maybe_wake()
        for polled in batch.polled:
            self.committed[polled.partition] = polled.end
        for record in batch.records:
            self.published[record.token] = (
                record,
                decisions.get(record.token),
                counted.get(record.token),
                batch.version,
            )

    def _maybe_wake(self) -> None:
        """A zombie may wake in the middle of another worker's batch."""
        if self.frozen and self.rng.random() < 0.3:
            self.wake(self.new_worker())

    def admit(self, ledger: RedisLedger, batch: Frozen) -> dict[Token, Decision]:
        kept = [record for record in batch.records if batch.version not in record.filtered]
        quotas = self.quotas(batch.version)
        claims = [Claim(r.identity, r.scope, DataCategory.ERROR, r.quantity, r.event_id, r.received, quotas) for r in kept]
        return dict(zip([r.token for r in kept], ledger.admit(batch.polled, claims, batch.now), strict=True))

    def count(self, ledger: RedisLedger, batch: Frozen, decisions: dict[Token, Decision]) -> dict[Token, Counted]:
        quotas = self.quotas(batch.version)
        alive = [
            record
            for record in batch.records
            if record.token in decisions and decisions[record.token].fate is Fate.ACCEPTED and batch.version not in record.dies
        ]
        sightings = [
            Sighting(
                r.identity,
                r.scope,
                DataCategory.ERROR,
                r.quantity,
                r.event_id,
                r.received,
                r.received,
                r.groups[batch.version],
                r.hashes(batch.version),
                "id:1",
                30,
                quotas,
            )
            for r in alive
        ]
        return dict(zip([r.token for r in alive], ledger.count(batch.polled, sightings, batch.now), strict=True))

    def wake(self, ledger: RedisLedger) -> None:
        """Let one frozen worker finish the call that it was in."""
        batch = self.frozen.pop(self.rng.randrange(len(self.frozen)))
        try:
            decisions = self.admit(ledger, batch)
            if batch.is_count:
                self.count(ledger, batch, decisions)
        except StaleBatchError:
            self.stale += 1

    def expected_counters(self) -> Counter[str]:
        """What the published decisions add up to, by the name of the counter."""
        counters: Counter[tuple[str, int]] = Counter()
        for record, decision, counted, version in self.published.values():
            if decision is None or decision.fate is not Fate.ACCEPTED:
                continue
            scope = record.scope
            if counted is None or counted.decision.fate is Fate.ACCEPTED:
                counters[f"org{{{scope.organization_id}}}", self._slot(record, 60)] += record.quantity
                counters[f"project{{{scope.organization_id}}}{scope.project_id}", self._slot(record, 60)] += record.quantity
                counters[f"seen{{{scope.organization_id}}}{scope.project_id}", self._slot(record, 30)] += record.quantity
                key = "" if scope.key_id is None else scope.key_id
                counters[f"key{{{scope.organization_id}}}{key}", self._slot(record, 3600)] += record.quantity
            if counted is not None and counted.decision.fate is Fate.ACCEPTED:
                stem = f"group{{{scope.organization_id}}}{scope.project_id}/{record.groups[version]}"
                counters[stem, self._slot(record, 3600)] += record.quantity
        return Counter({f"quota:{stem}:{slot}": quantity for (stem, slot), quantity in counters.items() if quantity})

    @staticmethod
    def _slot(record: Seen, window_s: int) -> int:
        return int((record.received - record.scope.organization_id % window_s) // window_s)

    def expected_spans(self) -> dict[str, tuple[float, float]]:
        """First and last seen of stored events, by group."""
        times: defaultdict[str, list[float]] = defaultdict(list)
        for record, _, counted, version in self.published.values():
            if counted is not None and counted.decision.fate is Fate.ACCEPTED:
                times[record.group_key(version)].append(record.received)
        return {group: (min(seen), max(seen)) for group, seen in times.items()}

    def expected_groups(self) -> Counter[str]:
        """Times seen, by group."""
        seen: Counter[str] = Counter()
        for record, _, counted, version in self.published.values():
            if counted is not None and counted.decision.fate is Fate.ACCEPTED:
                seen[record.group_key(version)] += record.quantity
        return seen
