"""Continuity: which offsets no earlier attempt can have decided, so that a local memory may answer for them."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.model.record import Token
from pipeline.quotas.call import Call, SectionReply
from pipeline.quotas.ledger import Polled

_MAX_KNOWN = 200_000


class Continuity:
    """Follows the partitions batch by batch.

    A worker that starts, or is given a partition, may meet offsets that the one before it has charged: Redis must be asked
    about them, once per organization and partition. From then on, as long as each batch begins where the last one ended,
    nothing can be there.
    """

    def __init__(self) -> None:
        self._ends: dict[tuple[str, int], int] = {}
        self._decided: dict[tuple[str, int], dict[int, int]] = {}
        """By partition and organization: the offset from which nothing is decided yet."""
        self._highs: dict[tuple[str, int], dict[int, int]] = {}
        """By partition and organization: where our furthest call ended, as Redis must remember it."""

    def forget(self) -> None:
        """Forget all partitions: some were given to others, who may have decided since."""
        self._ends.clear()
        self._decided.clear()

    def begin(self, polled: Sequence[Polled]) -> None:
        """Start a batch: what is known of a partition that does not go on where it ended is forgotten."""
        for topic_id, partition, base, *_ in polled:
            key = (topic_id, partition)
            if self._ends.pop(key, None) != base:
                self._decided.pop(key, None)

    def is_known(self, organization: int, token: Token) -> bool:
        """Whether no attempt can have decided this offset."""
        decided = self._decided.get((token.topic_id, token.partition))
        return decided is not None and decided.get(organization, token.offset + 1) <= token.offset

    def finish(self, polled: Sequence[Polled]) -> None:
        """End a batch that was decided."""
        for topic_id, partition, _, end, _ in polled:
            self._ends[topic_id, partition] = end

    def learn(self, call: Call, replies: Sequence[SectionReply]) -> bool:
        """Take in what the ledgers hold. False where one of them holds less than we put there: Redis has lost it."""
        is_whole = True
        for section, reply in zip(call.sections.values(), replies, strict=True):
            for (topic_id, partition, is_replayed), part_reply in zip(section.parts, reply.parts, strict=True):
                if is_replayed:
                    continue
                part = section.parts[topic_id, partition, False]
                decided = self._decided.setdefault((topic_id, partition), {})
                highs = self._highs.setdefault((topic_id, partition), {})
                is_whole = is_whole and part_reply.high >= highs.get(section.organization, 0)
                if len(highs) >= _MAX_KNOWN:
                    highs.clear()
                    decided.clear()
                decided[section.organization] = part_reply.decided_until
                highs[section.organization] = part.end
        return is_whole
