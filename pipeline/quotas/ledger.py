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
from pipeline.quotas.rate_limit import RateLimit


class Polled(NamedTuple):
    """The part of one partition that a batch covers: `base` is the committed offset, `end` one past the last record polled.

    Offsets in between that a call does not name were filtered on the way (or are gaps): they must not stay charged.
    `organizations` are those whose events were read from it, also where a filter left none: their ledgers are told so.
    """

    topic_id: str
    partition: int
    base: int
    end: int
    organizations: frozenset[int] = frozenset()


class Claim(NamedTuple):
    """One event asking to be admitted. `received` (epoch seconds) decides the window; `quotas` are those in force for it.

    `over_accept_once` lets a quantity pass that does not fit any more, as long as the limit was not reached before.
    `signature` tells alike events apart before they are grouped (8 bytes); it matters to quotas with a reserve only.
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
    """One grouped event to be counted. `hashes` holds the published ones, primary first, then the secondary ones.

    `event_time` (epoch seconds) gives first and last seen; `user` is the event's `sentry:user` value, for distinct users.
    `reserve_reason` is set where admit let the event through on a reserve: what rejects it where its group is known.
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
class Verdict:
    """What a call decided for one event. `fate` is ACCEPTED, RATE_LIMITED or INVALID (a duplicate), with its reason.

    `limits` is what a sender is to be told. `on_reserve`: over its limits, let through in case its group is a new one;
    `reason` is then what count rejects it with where the group is known. `uncounted`: Redis was away and the setting says accept.
    """

    fate: Fate = Fate.ACCEPTED
    reason: str | None = None
    limits: tuple[RateLimit, ...] = ()
    on_reserve: bool = False
    uncounted: bool = False


@dataclass(frozen=True, slots=True)
class Counted:
    """What count says of one event: its verdict, whether it is the first of its group, and the rate it was sampled at.

    `first_seen` is the time (epoch seconds) of the event that was the group's first; None where nothing knows it.
    """

    verdict: Verdict
    is_new: bool
    sample_rate: float | None = None
    first_seen: float | None = None


class Ledger(Protocol):
    """Check and count, once per token. Answers come in the order of the claims.

    Raises RetryableError when Redis is away (and the setting says wait), StaleBatchError when another worker has gone past.
    """

    def admit(self, polled: Sequence[Polled], claims: Sequence[Claim], now: float) -> Sequence[Verdict]:
        """Refuse duplicates and what is over a quota; only an admitted event claims its id and charges its quotas."""

    def count(self, polled: Sequence[Polled], sightings: Sequence[Sighting], now: float) -> Sequence[Counted]:
        """Apply group quotas, count the groups, and name the first event of each."""
