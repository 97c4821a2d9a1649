"""Losses: how a worker notices that Redis has lost data that it had acknowledged, and counts each loss once."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence

from pipeline.model.errors import RetryableError
from pipeline.quotas.call import Call, SectionReply
from pipeline.quotas.decided_offsets import DecidedOffsets
from pipeline.redis.client import Client, reaching_redis
from pipeline.redis.durability import Durability, read_durability

log = logging.getLogger(__name__)

LOOK_EVERY_S = 30.0
"""How often a server is asked about evictions and how it keeps its data."""
_COUNTED_FOR_S = 3_600
"""How long Redis keeps the note that a loss was counted. The next loss of everything deletes the note too."""


class Losses:
    """The losses that this worker has noticed.

    A changed epoch means that Redis was emptied, or restarted without its data. A ledger that ends earlier than this worker wrote
    it means that an older copy has taken over. A rising number of evicted keys means that Redis is full and deletes keys.
    """

    def __init__(self, client: Client, prefix: str) -> None:
        self._client = client
        self._note = f"{prefix}loss"
        self._epochs: dict[int, str] = {}
        self._evicted: dict[str, tuple[str, int]] = {}
        """By node: the server's run id, and how many keys it had evicted."""
        self._next_look = 0.0
        self._problems: set[str] = set()
        self.count = 0

    def learn(
        self, call: Call, replies: Sequence[SectionReply], decided: DecidedOffsets, others: Iterable[DecidedOffsets], now: float
    ) -> bool:
        """Compare a call's replies with what is remembered. Return whether Redis has lost data since.

        `decided` follows the calls of this kind, `others` those of the other kinds. After a loss, everything remembered is
        replaced by the present state of Redis. Otherwise each kind of call would notice the same loss again, for each
        organization.
        """
        is_whole = decided.learn(call, replies, now)
        epochs = {section.organization: reply.epoch for section, reply in zip(call.sections.values(), replies, strict=True)}
        is_same = all(self._epochs.get(organization, epoch) == epoch for organization, epoch in epochs.items())
        if is_whole and is_same:
            self._epochs |= epochs
            return False
        self._epochs = epochs
        for other in others:
            other.forget_ends_of_calls()
        if is_same or self._is_first_to_note():
            self._add("redis has lost what it acknowledged: quotas and counts since then start anew")
        else:
            log.warning("redis has lost what it acknowledged; another worker has counted this loss")
        return True

    def _is_first_to_note(self) -> bool:
        """Whether no other worker has counted the loss of everything. True also if Redis does not answer."""
        try:
            with reaching_redis():
                return bool(self._client.set(self._note, 1, nx=True, ex=_COUNTED_FOR_S))
        except RetryableError:
            return True

    def look(self) -> bool:
        """Ask Redis how it keeps its data, at most every 30 s. Return whether it has evicted keys since the last time.

        Problems are logged when they are new. If Redis does not answer, nothing happens here, because other calls notice it.
        """
        now = time.monotonic()
        if now < self._next_look:
            return False
        self._next_look = now + LOOK_EVERY_S
        try:
            servers = read_durability(self._client)
        except RetryableError:
            return False
        problems = {problem for server in servers for problem in server.problems()}
        for problem in sorted(problems - self._problems):
            log.error("redis does not keep what it acknowledges: %s", problem)
        self._problems = problems
        evicted = sum(self._newly_evicted(server) for server in servers)
        if evicted:
            self._add(f"redis has evicted {evicted} keys: quotas and counts are too low by what they held")
        return evicted > 0

    def _newly_evicted(self, server: Durability) -> int:
        run_id, before = self._evicted.get(server.node, (server.run_id, server.evicted_keys))
        self._evicted[server.node] = (server.run_id, server.evicted_keys)
        return server.evicted_keys - (before if run_id == server.run_id else 0)

    def _add(self, what: str) -> None:
        self.count += 1
        log.error(what, extra={"losses": self.count})
