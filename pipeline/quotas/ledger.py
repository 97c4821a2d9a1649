"""The two calls a batch makes, as types: admit (duplicates and quotas) and count (group quotas, counts, first of a group).

Both are repeatable: every effect carries the record's token, so a batch that is run again, whole or cut otherwise,
gets the decisions that it got before (design, section 6).
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


class Polled(NamedTuple):
    """The part of one partition that a batch covers: `base` is the committed offset, `end` one past the last record polled.

    Offsets in between that a call does not name were filtered on the way (or are gaps): they must not stay charged.
    """

    topic_id: str
    partition: int
    base: int
    end: int


@dataclass(frozen=True, slots=True)
class Claim:
    """One event asking to be admitted. `received` (epoch seconds) decides the window; `quotas` are those in force for it."""

    token: Token
    scope: Scope
    category: DataCategory
    quantity: int
    event_id: str
    received: float
    quotas: Sequence[Quota]


@dataclass(frozen=True, slots=True)
class Sighting:
    """One grouped event to be counted. `hashes` holds the published ones, primary first, then the secondary ones.

    `event_time` (epoch seconds) gives first and last seen; `user` is the event's `sentry:user` value, for distinct users.
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


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a call decided for one event. `fate` is ACCEPTED, RATE_LIMITED or INVALID (a duplicate), with its reason."""

    fate: Fate = Fate.ACCEPTED
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Counted:
    """What count says of one event: its verdict, whether it is the first of its group, and the rate it was sampled at."""

    verdict: Verdict
    is_new: bool
    sample_rate: float | None = None


class Ledger(Protocol):
    """Check and count, once per token. Answers come in the order of the claims.

    Raises RetryableError when Redis is away (and the setting says wait), StaleBatchError when another worker has gone past.
    """

    def admit(self, polled: Sequence[Polled], claims: Sequence[Claim], now: float) -> Sequence[Verdict]:
        """Refuse duplicates and what is over a quota; only an admitted event claims its id and charges its quotas."""

    def count(self, polled: Sequence[Polled], sightings: Sequence[Sighting], now: float) -> Sequence[Counted]:
        """Apply group quotas, count the groups, and name the first event of each."""
