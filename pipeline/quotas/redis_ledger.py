"""The ledger in Redis: admit and count are one script call each (docs/spec/quotas.md)."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from typing import Any, Literal, NamedTuple, cast

from pipeline.model.category import DataCategory
from pipeline.model.errors import RetryableError, StaleBatchError
from pipeline.model.outcome import Fate
from pipeline.model.scope import Scope
from pipeline.quotas.admission import Admission, AdmissionMemory
from pipeline.quotas.call import Call, SectionReply, read_replies
from pipeline.quotas.counters import MatchingQuotas
from pipeline.quotas.counting import Counting
from pipeline.quotas.decided_offsets import DecidedOffsets
from pipeline.quotas.ledger import Claim, Counted, Decision, Polled, Sighting
from pipeline.quotas.losses import Losses
from pipeline.quotas.model import Quota
from pipeline.redis.client import Client, is_cluster, reaching_redis, read_number
from pipeline.redis.script import RedisScript


def _joined(*names: str) -> str:
    """Return Lua files of this package, joined to one script. Each may use the local names of those before it."""
    return "\n".join(files("pipeline.quotas").joinpath(name).read_text() for name in names)


ADMIT_LUA = _joined("counters.lua", "decisions.lua", "ledger.lua", "admit.lua")
COUNT_LUA = _joined("counters.lua", "decisions.lua", "ledger.lua", "count.lua")

_UNCOUNTED = Decision(uncounted=True)
RETRY_S = 1.0
"""How long to wait before Redis is asked again. The pause does not grow, so that work goes on soon after Redis is back."""
_PAUSE_FACTOR, _LONGEST_PAUSE_S = 10, 30.0
"""If events pass while Redis is away, Redis is not asked again for ten times as long as the failed call took, at most 30 s. So a
Redis that hangs does not cost every batch a time-out."""
_MOMENT_S = 1e-5
_LONGEST_DUPLICATE_WINDOW_S = 12 * 86_400


class Refund(NamedTuple):
    """The names of the counters that were refunded, and of those that no longer exist because their windows ended long ago."""

    given: list[str]
    gone: list[str]


class RedisLedger:
    """Implements `Ledger`. Each worker has its own; it must not be used by several threads at once.

    prefix               is put before the name of every key
    on_unavailable       "wait": raise RetryableError, to be tried again in a second; "accept": return `uncounted` decisions
    duplicate_window_s   an event id that arrives twice in a project within this time is a duplicate; at most 12 days
    max_retry_after_s    how long a rejected sender is told to wait at most; None for the rest of the window
    ledger_s             how long decisions are kept; must be at least as long as the input topic keeps records
    late_s               how long a counter or an event id outlives its window, so that a backlog of this age is counted exactly
    remember_s           how long Redis is not asked again about a limit that is used up
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
        self._memory = AdmissionMemory()
        self._admitted = DecidedOffsets(ledger_s)
        self._counted = DecidedOffsets(ledger_s)
        self._losses = Losses(client, prefix)
        self._last_now, self._calls_at_now = 0.0, 0
        self._asked_again_at = 0.0
        """When Redis may be asked again, by the monotonic clock."""
        self._is_batch_counted = True
        self._asking_since: float | None = None
        self.uncounted = 0
        """How many events were not counted by admit, by count or by both."""

    def admit(self, polled: Sequence[Polled], claims: Sequence[Claim], now: float) -> Sequence[Decision]:
        """Refuse duplicates and what is over a quota. Only an admitted event claims its id and is charged to its quotas."""
        self._admitted.begin(polled)
        admission = Admission(polled, claims, self._memory, self._admitted, now)
        try:
            replies = self._run(self._admit, admission.call, self._admitted, [self._duplicate_s], now)
        except RetryableError:
            if not self._accepts_when_away:
                raise
            self.uncounted += len(claims)
            self._is_batch_counted = False
            return [_UNCOUNTED] * len(claims)
        self._is_batch_counted = True
        decisions = admission.read(replies, self._max_retry_s, self._remember_s)
        self._admitted.finish(polled)
        return decisions

    def count(self, polled: Sequence[Polled], sightings: Sequence[Sighting], now: float) -> Sequence[Counted]:
        """Apply group quotas, count the groups, and name the first event of each."""
        self._counted.begin(polled)
        counting = Counting(polled, sightings, self._counted, now)
        try:
            replies = self._run(self._count, counting.call, self._counted, [], now)
        except RetryableError:
            if not self._accepts_when_away:
                raise
            self.uncounted += len(sightings) if self._is_batch_counted else 0  # otherwise admit has added them already
            return [Counted(_UNCOUNTED, is_new=False)] * len(sightings)
        counted = counting.read(replies, self._max_retry_s)
        if any(answer.decision.fate is Fate.RATE_LIMITED for answer in counted):
            self._memory.forget_full_limits()  # because charges were given back
        self._counted.finish(polled)
        return counted

    @property
    def losses(self) -> int:
        """How often this worker has noticed that Redis lost data that it had acknowledged."""
        return self._losses.count

    def look_for_losses(self) -> None:
        """Ask Redis from time to time whether it keeps its data. May be called often. Logs problems and counts evictions."""
        if time.monotonic() >= self._asked_again_at:
            with self._asking():
                has_lost = self._losses.look()
            if has_lost:
                self._memory.forget_full_limits()

    def check(self) -> None:
        """Raise RetryableError if Redis does not answer and events would wait for it."""
        if not self._accepts_when_away:
            with self._asking(), reaching_redis():
                self._client.ping()

    def silent_s(self) -> float:
        """Return how long the call that is under way has been waiting for Redis, 0 if there is none. Any thread may ask."""
        since = self._asking_since
        return 0.0 if since is None else time.monotonic() - since

    @contextmanager
    def _asking(self) -> Iterator[None]:
        self._asking_since = time.monotonic()
        try:
            yield
        finally:
            self._asking_since = None

    def forget(self) -> None:
        """Forget what is known about partitions. Call this when some are revoked: another worker may decide their offsets."""
        self._admitted.forget()
        self._counted.forget()

    def refund(self, scope: Scope, category: DataCategory, quantity: int, timestamp: float, quotas: Sequence[Quota]) -> Refund:
        """Refund what accepted events were charged to the quotas that name the category, in the window of `timestamp`.

        A token bucket is left out, because it refills by itself.
        Raises RetryableError, also for a key that does not hold a number; then nothing was given back.
        """
        now = time.time()
        naming = [quota for quota in quotas if category in quota.categories]
        counter_set = MatchingQuotas(scope, category, [quota for quota in naming if quota.bucket is None]).at(timestamp)
        names = [name for name, _ in counter_set.counters]
        given, gone = [], []
        with reaching_redis():
            pipeline: Any = cast("Any", self._client).pipeline()
            for name, window in zip(names, counter_set.windows, strict=True):
                key = f"{self._prefix}r:quota:{name}"
                read_number(self._client, key)
                if window.end <= now and not self._client.exists(f"{self._prefix}quota:{name}"):
                    gone.append(name)
                    continue
                given.append(name)
                pipeline.incrby(key, quantity)
                pipeline.expireat(key, int(max(window.end, now)) + self._late_s)
            pipeline.execute()
        self._memory.forget_full_limits()
        return Refund(given, gone)

    def remove_all(self) -> None:
        """Delete every key with this ledger's prefix. Raises ValueError without a prefix, which would delete everything."""
        if not self._prefix:
            raise ValueError("a ledger without a prefix would delete every key of the Redis")
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
        self, script: RedisScript, call: Call, decided: DecidedOffsets, settings: list[Any], now: float
    ) -> list[SectionReply]:
        if not call.sections:
            return []
        started = time.monotonic()
        if started < self._asked_again_at:
            raise RetryableError("redis", "it did not answer a moment ago", RETRY_S)
        # A batch may be run again at the same `now` with other events. Each call gets a later time than the one before, so that
        # a copy of an earlier call that reaches Redis late is refused.
        self._calls_at_now = self._calls_at_now + 1 if now == self._last_now else 0
        self._last_now = now
        began = now + self._calls_at_now * _MOMENT_S
        options = [self._prefix, secrets.token_hex(8), self._ledger_s, self._late_s, began, settings]
        try:
            with self._asking():
                replies = read_replies(script.run(call.pack(options, self._prefix, per_section=is_cluster(self._client))))
        except RetryableError as error:
            error.retry_in_s = RETRY_S
            if self._accepts_when_away:
                failed = time.monotonic()
                self._asked_again_at = failed + min(_PAUSE_FACTOR * (failed - started), _LONGEST_PAUSE_S)
            raise
        if replies is None:
            raise StaleBatchError(
                "the ledger in Redis is ahead of the committed offsets: another worker has processed later records, "
                "or the offsets were moved back (then `pipeline offsets reset` moves both)"
            )
        if self._losses.learn(call, replies, decided, (self._admitted, self._counted), now):
            self._memory.forget_full_limits()
        return replies
