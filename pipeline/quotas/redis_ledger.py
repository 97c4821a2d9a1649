"""The ledger on Redis: admit and count, one round trip each (design, section 6)."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator, Sequence
from importlib.resources import files
from typing import Any, Literal, cast

from pipeline.model.category import DataCategory
from pipeline.model.errors import RetryableError, StaleBatchError
from pipeline.model.outcome import Fate
from pipeline.model.scope import Scope
from pipeline.quotas.admission import Admission, Plans
from pipeline.quotas.call import Call, SectionReply, read_replies
from pipeline.quotas.charges import Plan
from pipeline.quotas.continuity import Continuity
from pipeline.quotas.counting import Counting
from pipeline.quotas.ledger import Claim, Counted, Polled, Sighting, Verdict
from pipeline.quotas.model import Quota
from pipeline.quotas.window import GRACE_S
from pipeline.redis.client import Client, is_cluster, reaching_redis, read_number
from pipeline.redis.script import RedisScript

log = logging.getLogger(__name__)


def _joined(*names: str) -> str:
    """Return some Lua files of this package as one text; each may use the local names of those before it."""
    return "\n".join(files("pipeline.quotas").joinpath(name).read_text() for name in names)


ADMIT_LUA = _joined("counters.lua", "ledger.lua", "admit.lua")
COUNT_LUA = _joined("counters.lua", "ledger.lua", "count.lua")

_UNCOUNTED = Verdict(uncounted=True)
_LONGEST_PAUSE_S = 30.0
_LONGEST_DUPLICATE_WINDOW_S = 12 * 86_400


class RedisLedger:
    """Implements `Ledger`. One instance per worker; not for several threads at once.

    prefix               goes before every key
    on_unavailable       wait: RetryableError with growing pauses; accept: verdicts say `uncounted`
    duplicate_window_s   two arrivals of an event id in a project within it are duplicates; at most 12 days
    max_retry_after_s    what a rejected sender is told to wait at most; None for the whole window
    ledger_s             how long decisions are kept: as long as the input topic keeps records
    late_s               a backlog as old as this is counted exactly: so long a counter or an id outlives its window
    remember_s           how long a limit that is used up is not asked for again
    """

    def __init__(
        self,
        client: Client,
        *,
        prefix: str = "",
        on_unavailable: Literal["wait", "accept"] = "wait",
        duplicates: bool = True,
        duplicate_window_s: int = 3_600,
        max_retry_after_s: int | None = None,
        ledger_s: int = 7 * 86_400,
        late_s: int = 3_600,
        remember_s: float = 1.0,
    ) -> None:
        if "{" in prefix or "}" in prefix:
            raise ValueError("a prefix with braces would change which part of a key is its hash tag")
        if duplicate_window_s > _LONGEST_DUPLICATE_WINDOW_S:
            raise ValueError(f"duplicates are remembered for {_LONGEST_DUPLICATE_WINDOW_S} s at most")
        self._client = client
        self._prefix = prefix
        self._accepts_when_away = on_unavailable == "accept"
        self._duplicate_s = duplicate_window_s if duplicates else 0
        self._max_retry_s = max_retry_after_s
        self._ledger_s = ledger_s
        self._late_s = late_s
        self._remember_s = remember_s
        self._admit = RedisScript(client, ADMIT_LUA)
        self._count = RedisScript(client, COUNT_LUA)
        self._plans = Plans()
        self._admitted = Continuity()
        self._counted = Continuity()
        self._epochs: dict[int, str] = {}
        self._failures = 0
        self._is_batch_counted = True
        self.losses = 0
        """How often Redis was found to have lost what it had acknowledged."""
        self.uncounted = 0
        """Events that went on without being counted, by one call or both."""

    def admit(self, polled: Sequence[Polled], claims: Sequence[Claim], now: float) -> Sequence[Verdict]:
        """Refuse duplicates and what is over a quota; only an admitted event claims its id and charges its quotas."""
        self._admitted.begin(polled)
        admission = Admission(polled, claims, self._plans, self._admitted, now)
        try:
            replies = self._run(self._admit, admission.call, self._admitted, [self._duplicate_s], now)
        except RetryableError:
            if not self._accepts_when_away:
                raise
            self.uncounted += len(claims)
            self._is_batch_counted = False
            return [_UNCOUNTED] * len(claims)
        self._is_batch_counted = True
        verdicts = admission.read(replies, self._max_retry_s, self._remember_s)
        self._admitted.finish(polled)
        return verdicts

    def count(self, polled: Sequence[Polled], sightings: Sequence[Sighting], now: float) -> Sequence[Counted]:
        """Apply group quotas, count the groups, and name the first event of each."""
        self._counted.begin(polled)
        counting = Counting(polled, sightings, self._counted, now)
        try:
            replies = self._run(self._count, counting.call, self._counted, [], now)
        except RetryableError:
            if not self._accepts_when_away:
                raise
            self.uncounted += len(sightings) if self._is_batch_counted else 0  # else admit has said so of them
            return [Counted(_UNCOUNTED, is_new=False)] * len(sightings)
        counted = counting.read(replies, self._max_retry_s)
        if any(answer.verdict.fate is Fate.RATE_LIMITED for answer in counted):
            self._plans.reopen()  # their charges were given back
        self._counted.finish(polled)
        return counted

    def check(self) -> None:
        """Raise RetryableError where Redis does not answer and events would wait for it."""
        if not self._accepts_when_away:
            with reaching_redis():
                self._client.ping()

    def forget(self) -> None:
        """Drop what is known of partitions. Call when some are taken away: another worker may decide in between."""
        self._admitted.forget()
        self._counted.forget()

    def refund(self, scope: Scope, category: DataCategory, quantity: int, timestamp: float, quotas: Sequence[Quota]) -> list[str]:
        """Give back what accepted events were charged, in the window of `timestamp`, to the quotas that name the category.

        Gives the names of their counters. A token bucket is left out: it refills by itself.
        Raises RetryableError, also for a key that holds something else; then nothing was given back.
        """
        naming = [quota for quota in quotas if category in quota.categories]
        charges = Plan(scope, category, [quota for quota in naming if quota.bucket is None]).at(timestamp)
        names = [name for name, _ in charges.counters]
        keys = [f"{self._prefix}r:quota:{name}" for name in names]
        with reaching_redis():
            for key in keys:
                read_number(self._client, key)
            pipeline: Any = cast("Any", self._client).pipeline()
            for key, window in zip(keys, charges.windows, strict=True):
                pipeline.incrby(key, quantity)
                pipeline.expireat(key, window.end + GRACE_S)
            pipeline.execute()
        self._plans.reopen()
        return names

    def remove_all(self) -> None:
        """Delete every key of this prefix. Refused without one: that would empty the Redis."""
        if not self._prefix:
            raise ValueError("a ledger without a prefix owns the whole Redis")
        batch: list[bytes] = []
        for key in self._keys():
            batch.append(key)
            if len(batch) == 1_000:
                self._delete(batch)
                batch = []
        if batch:
            self._delete(batch)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _keys(self) -> Iterator[bytes]:
        pattern = "".join(f"\\{c}" if c in "*?[]\\" else c for c in self._prefix) + "*"
        return self._client.scan_iter(match=pattern, count=1_000)

    def _delete(self, keys: Sequence[bytes]) -> None:
        if is_cluster(self._client):
            for key in keys:
                self._client.unlink(key)
        else:
            self._client.unlink(*keys)

    def _run(
        self, script: RedisScript, call: Call, continuity: Continuity, settings: list[Any], now: float
    ) -> list[SectionReply]:
        if not call.sections:
            return []
        options = [self._prefix, secrets.token_hex(8), self._ledger_s, self._late_s, now, settings]
        try:
            replies = read_replies(script.run(call.pack(options, self._prefix, per_section=is_cluster(self._client))))
        except RetryableError as error:
            self._failures += 1
            error.retry_in_s = min(0.1 * 2 ** min(self._failures, 10), _LONGEST_PAUSE_S)
            raise
        self._failures = 0
        if replies is None:
            raise StaleBatchError("another worker has gone past this batch")
        self._watch_for_losses(call, replies, continuity)
        return replies

    def _watch_for_losses(self, call: Call, replies: Sequence[SectionReply], continuity: Continuity) -> None:
        is_whole = continuity.learn(call, replies)
        for section, reply in zip(call.sections.values(), replies, strict=True):
            is_whole = self._epochs.setdefault(section.organization, reply.epoch) == reply.epoch and is_whole
            self._epochs[section.organization] = reply.epoch
        if not is_whole:
            self.losses += 1
            self._plans.reopen()
            log.error(
                "redis has lost what it acknowledged: quotas and counts since then start anew", extra={"losses": self.losses}
            )
