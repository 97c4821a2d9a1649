"""The two calls that a batch makes, as types: admit (duplicates and quotas) and count (group quotas, counts, first of a group).

Both can be repeated. Every effect is stored with the token of its record, so a batch that is run again, whole or cut into other
batches, gets the decisions that it got before (docs/spec/quotas.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from pipeline.model.category import DataCategory
from pipeline.model.outcome import Fate
from pipeline.model.record import Token
from pipeline.model.scope import Scope
from pipeline.quotas.model import Quota
from pipeline.quotas.rate_limit import RateLimit


class Polled(NamedTuple):
    """The part of one partition that a batch covers: `base` is the committed offset, `end` one past the last record polled.

    An offset in this range that a call does not name was filtered before the call, or does not exist. If an earlier attempt
    charged it, that charge is taken back.
    `organizations` are those whose events were read from the range, even if a filter dropped them all.
    `is_replayed`: a replayed dead letter that is part of the batch. Its one offset is that of its first life.
    """

    topic_id: str
    partition: int
    base: int
    end: int
    organizations: frozenset[int] = frozenset()
    is_replayed: bool = False


class Claim(NamedTuple):
    """One event that asks to be admitted. `received` (epoch seconds) decides the window; `quotas` are those in force for it.

    `over_accept_once` lets a quantity pass that no longer fits, as long as the limit was not reached before.
    `signature` (8 bytes) is equal for events that look alike before they are grouped. Only quotas with a reserve use it.
    """

    token: Token
    scope: Scope
    category: DataCategory
    quantity: int
    event_id: str
    received: float
    quotas: Sequence[Quota]
    over_accept_once: bool = False
    signature: bytes | None = None


class Sighting(NamedTuple):
    """One grouped event that asks to be counted. `hashes` are the published ones, first the primary, then the secondary ones.

    `event_time` (epoch seconds) decides when the group was first and last seen. `user` is the event's `sentry:user` tag, which
    distinct users are counted by.
    `reserve_reason` is set where admit let the event through on a reserve. Count rejects the event with it if its group is known.
    """

    token: Token
    scope: Scope
    category: DataCategory
    quantity: int
    event_id: str
    received: float
    event_time: float
    group_id: int
    hashes: tuple[str, ...]
    user: str | None
    retention_days: int
    quotas: Sequence[Quota]
    reserve_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What a call decided for one event. `fate` is ACCEPTED, RATE_LIMITED or INVALID (a duplicate); `reason` says why.

    `limits` are the rate limits that the sender is told.
    `on_reserve` is true for an event that is over its limits and passes because its group may be new. `reason` is then the one
    that count rejects it with if the group is known.
    `uncounted` is true if Redis was away and `quotas.on_unavailable` is "accept".
    """

    fate: Fate = Fate.ACCEPTED
    reason: str | None = None
    limits: tuple[RateLimit, ...] = ()
    on_reserve: bool = False
    uncounted: bool = False


@dataclass(frozen=True, slots=True)
class Counted:
    """The answer of count for one event: its decision, whether it is the first of its group, and the rate it was sampled at.

    `first_seen` is the time (epoch seconds) of the group's first event, or None if it is not known.
    """

    decision: Decision
    is_new: bool
    sample_rate: float | None = None
    first_seen: float | None = None


class Ledger(Protocol):
    """Decides about events and counts them, once for each token.

    A ledger answers every claim and every sighting, in their order. `polled` names the ranges that the batch covers, `now` is the
    caller's clock (epoch seconds) when its attempt at the batch began.
    Both calls raise RetryableError if Redis is away and events must wait for it, and StaleBatchError if another worker has
    already processed later records.
    """

    def admit(self, polled: Sequence[Polled], claims: Sequence[Claim], now: float) -> Sequence[Decision]:
        """Refuse duplicates and what is over a quota. Only an admitted event claims its id and is charged to its quotas."""

    def count(self, polled: Sequence[Polled], sightings: Sequence[Sighting], now: float) -> Sequence[Counted]:
        """Apply group quotas, count the groups, and name the first event of each."""


class UncountedLedger:
    """A ledger for runs that store nothing (explain, rules diff, benchmarks): it admits everything and counts nothing.

    It knows no group, so every sighting is the first of its group.
    """

    def admit(self, polled: Sequence[Polled], claims: Sequence[Claim], now: float) -> Sequence[Decision]:  # noqa: ARG002 -- the protocol's
        """Return an accepting decision for every claim."""
        return [Decision()] * len(claims)

    def count(self, polled: Sequence[Polled], sightings: Sequence[Sighting], now: float) -> Sequence[Counted]:  # noqa: ARG002
        """Return an accepting answer for every sighting."""
        return [Counted(Decision(), is_new=True)] * len(sightings)
