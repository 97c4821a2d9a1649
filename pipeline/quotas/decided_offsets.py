"""Decided offsets: which offsets an earlier attempt may have decided, so that Redis must be asked about them."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.model.record import Token
from pipeline.quotas.call import Call, SectionReply
from pipeline.quotas.ledger import Polled

_MAX_KNOWN = 200_000
_CLOCK_DIFFERENCE_S = 60
"""Tolerance in the comparison of the worker's clock with the expiry of a ledger."""


class DecidedOffsets:
    """Follows the partitions of a worker batch by batch.

    A worker that starts, or gets a partition, may read offsets that its former owner has charged. Redis must be asked about
    these, once for each organization and partition. After that, as long as each batch begins where the last one ended, no other
    attempt can have decided later offsets, and the worker may decide from memory.
    """

    def __init__(self, ledger_s: float) -> None:
        self._ledger_s = ledger_s
        self._ends: dict[tuple[str, int], int] = {}
        self._decided: dict[tuple[str, int], dict[int, int]] = {}
        """By partition and organization: the first offset that is not decided yet."""
        self._highs: dict[tuple[str, int], dict[int, tuple[int, float]]] = {}
        """By partition and organization: where this worker's last call ended, and when it was made by the caller's clock."""

    def forget(self) -> None:
        """Forget all partitions: some were given to other workers, which may have decided further offsets."""
        self._ends.clear()
        self._decided.clear()

    def begin(self, polled: Sequence[Polled]) -> None:
        """Start a batch. A partition that does not go on where its last batch ended is forgotten."""
        for topic_id, partition, base, _, _, is_replayed in polled:
            if is_replayed:
                continue
            key = (topic_id, partition)
            if self._ends.pop(key, None) != base:
                self._decided.pop(key, None)

    def is_undecided(self, organization: int, token: Token) -> bool:
        """Whether it is certain that no attempt has decided this offset."""
        decided = self._decided.get((token.topic_id, token.partition))
        return decided is not None and decided.get(organization, token.offset + 1) <= token.offset

    def finish(self, polled: Sequence[Polled]) -> None:
        """Note that a batch was decided to its end."""
        for topic_id, partition, _, end, _, is_replayed in polled:
            if not is_replayed:
                self._ends[topic_id, partition] = end

    def forget_ends_of_calls(self) -> None:
        """Forget where this worker's calls ended, because Redis has lost data and does not remember it either."""
        self._highs.clear()

    def learn(self, call: Call, replies: Sequence[SectionReply], now: float) -> bool:
        """Note what the ledgers hold. Return False if one of them holds less than this worker wrote, because Redis has lost data.

        A ledger that was last written more than `ledger_s` ago may have expired, which is no loss.
        """
        is_whole = True
        for section, reply in zip(call.sections.values(), replies, strict=True):
            for (topic_id, partition, is_replayed), part_reply in zip(section.parts, reply.parts, strict=True):
                if is_replayed:
                    continue
                part = section.parts[topic_id, partition, False]
                decided = self._decided.setdefault((topic_id, partition), {})
                highs = self._highs.setdefault((topic_id, partition), {})
                high, written = highs.get(section.organization, (0, now))
                is_kept = now - written < self._ledger_s - _CLOCK_DIFFERENCE_S
                is_whole = is_whole and (part_reply.high >= high or not is_kept)
                if len(highs) >= _MAX_KNOWN:
                    highs.clear()
                    decided.clear()
                decided[section.organization] = part_reply.decided_until
                highs[section.organization] = (part.end, now)
        return is_whole
