"""Counting: sightings become a call of `count.lua`, and its answers come back in the order of the sightings."""

from __future__ import annotations

from collections.abc import Sequence

import xxhash

from pipeline.model.outcome import Fate
from pipeline.quotas.call import Call, Section, SectionReply
from pipeline.quotas.charges import Charges
from pipeline.quotas.continuity import Continuity
from pipeline.quotas.ledger import Counted, Polled, Sighting, Verdict
from pipeline.quotas.model import Quota, QuotaScope
from pipeline.quotas.window import clamped

_NEW, _SAMPLED, _NOT_NEW, _REJECTED = 1, 2, 4, 8
_KEEP_IN_SAMPLE, _ON_RESERVE = 1, 2
_MAX_USER_CHARS = 256
_FIRST = Counted(Verdict(), is_new=True)
_NEXT = Counted(Verdict(), is_new=False)


class Counting:
    """One call of count."""

    def __init__(self, polled: Sequence[Polled], sightings: Sequence[Sighting], continuity: Continuity, now: float) -> None:
        self.call = Call(polled, extra=(list, list, list))
        self._sightings = sightings
        self._now = now
        self._combos: dict[tuple[object, ...], tuple[int, Charges]] = {}
        self._charges: dict[tuple[int, int], Charges] = {}
        for place, sighting in enumerate(sightings):
            self._fill(place, sighting)
        self.call.name_rest(continuity.is_known)

    def _fill(self, place: int, sighting: Sighting) -> None:
        scope = sighting.scope
        part = self.call.part(scope.organization_id, sighting.token)
        combo, charges = self._combo(part.section, sighting)
        part.places.append(place)
        part.offsets.append(sighting.token.offset)
        part.combos.append(combo)
        part.quantities.append(sighting.quantity)
        part.ids.append(sighting.event_id)
        part.arrivals.append(sighting.received)
        rate = _sample_rate(charges.quotas)
        flags = _KEEP_IN_SAMPLE if rate is not None and _fraction(sighting.event_id) < rate else 0
        times, users, all_flags = part.extra
        times.append(clamped(sighting.event_time))
        users.append((sighting.user or "")[:_MAX_USER_CHARS])
        all_flags.append(flags | _ON_RESERVE if sighting.reserve_reason is not None else flags)

    def _combo(self, section: Section, sighting: Sighting) -> tuple[int, Charges]:
        """Give the combo of a group at an hour; worked out once for all the events that share it."""
        received = clamped(sighting.received)
        hour = int(clamped(sighting.event_time)) // 3_600
        key = (sighting.scope, sighting.category, sighting.group_id, sighting.hashes, hour, id(sighting.quotas))
        known = self._combos.get(key)
        if known is not None and known[1].start <= received < known[1].end:
            return known
        quotas = [
            quota
            for quota in sighting.quotas
            if quota.scope is QuotaScope.GROUP
            and quota.id is not None
            and quota.window_s
            and quota.matches(sighting.scope, sighting.category)
        ]
        charges = Charges(sighting.quotas, quotas, sighting.scope, received, sighting.group_id)
        index = section.combo(
            charges.counters,
            [
                f"{sighting.scope.project_id}:{sighting.group_id}",
                sighting.hashes,
                hour // 24,
                hour % 24,
                max(sighting.retention_days, 1) * 86_400,
            ],
        )
        self._combos[key] = known = (index, charges)
        self._charges[section.organization, index] = charges
        return known

    def read(self, replies: Sequence[SectionReply], max_retry_s: int | None) -> list[Counted]:
        """Give the answers in the order of the sightings."""
        counted = [_NEXT] * len(self._sightings)
        for section, reply in zip(self.call.sections.values(), replies, strict=True):
            for part, part_reply in zip(section.parts.values(), reply.parts, strict=True):
                earlier = dict(part_reply.reasons)
                for i, code in enumerate(part_reply.verdicts):
                    place = part.places[i]
                    charges = self._charges[section.organization, part.combos[i]]
                    if code >= _REJECTED:
                        verdict = charges.rejection(code - _REJECTED, self._now, max_retry_s)
                        if i + 1 in earlier:
                            verdict = Verdict(Fate.RATE_LIMITED, earlier[i + 1] or None)
                        counted[place] = Counted(verdict, is_new=False)
                    elif code >= _NOT_NEW:
                        counted[place] = Counted(
                            Verdict(Fate.RATE_LIMITED, self._sightings[place].reserve_reason or None), is_new=False
                        )
                    elif code >= _SAMPLED:
                        counted[place] = Counted(Verdict(), is_new=code % 2 == _NEW, sample_rate=_sample_rate(charges.quotas))
                    elif code == _NEW:
                        counted[place] = _FIRST
        return counted


def _sample_rate(quotas: Sequence[Quota]) -> float | None:
    """Give the rate at which the excess is kept: the lowest of the group quotas', None where one of them keeps nothing."""
    rates = [quota.sample_rate for quota in quotas if quota.limit is not None]
    return None if not rates or None in rates else min(rate for rate in rates if rate is not None)


def _fraction(event_id: str) -> float:
    """Give a number in [0, 1) that follows from the event id alone: the same event is kept or dropped wherever it is decided."""
    return xxhash.xxh3_64_intdigest(event_id.encode("utf-8", "surrogatepass")) / 2**64
