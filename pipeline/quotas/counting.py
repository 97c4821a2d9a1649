"""Counting: turn sightings into a call of `count.lua`, and its reply into answers in the order of the sightings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import xxhash

from pipeline.model.category import DataCategory
from pipeline.model.outcome import Fate
from pipeline.model.scope import Scope
from pipeline.quotas.call import Call, CallSection, SectionReply
from pipeline.quotas.counters import CounterSet
from pipeline.quotas.decided_offsets import DecidedOffsets
from pipeline.quotas.ledger import Counted, Decision, Polled, Sighting
from pipeline.quotas.model import LONGEST_AHEAD_S, Quota, QuotaScope, clamped

_NEW, _SAMPLED, _NOT_NEW, _REJECTED = 1, 2, 4, 8
_KEEP_IN_SAMPLE, _ON_RESERVE = 1, 2
_MAX_USER_CHARS = 256
_ACCEPTED = Decision()


class _Combo(NamedTuple):
    """The combo of the events of one group in one hour. `number` is the combo's number in its section."""

    number: int
    counters: CounterSet
    sample_rate: float | None


class Counting:
    """One call of count."""

    def __init__(self, polled: Sequence[Polled], sightings: Sequence[Sighting], decided: DecidedOffsets, now: float) -> None:
        self.call = Call(polled, extra=(list, list, list))
        self._sightings = sightings
        self._now = now
        self._by_number: dict[tuple[int, int], _Combo] = {}
        recent: dict[tuple[Scope, DataCategory, int, tuple[str, ...], int], _Combo] = {}
        part = None
        latest = now + LONGEST_AHEAD_S
        for index, sighting in enumerate(sightings):
            token, scope, category, quantity, event_id, received, event_time, group_id, hashes, user, _, quotas, reserve = (
                sighting
            )
            if received > latest:  # noqa: PLR1730 -- a third of the time of min()
                received = latest
            if part is None or not part.holds(scope[0], token):
                part = self.call.part(scope[0], token)
            moment = clamped(event_time)
            key = (scope, category, group_id, hashes, int(moment) // 3_600)
            combo = recent.get(key)
            if combo is None or combo.counters.source is not quotas or not combo.counters.start <= received < combo.counters.end:
                combo = recent[key] = self._combo(part.section, sighting, received, int(moment) // 3_600)
            part.indices.append(index)
            part.offsets.append(token[2])
            part.combos.append(combo.number)
            part.quantities.append(quantity)
            part.ids.append(event_id)
            part.arrivals.append(received)
            times, users, flags = part.extra
            times.append(moment)
            users.append((user or "")[:_MAX_USER_CHARS])
            is_in_sample = combo.sample_rate is not None and _fraction(event_id) < combo.sample_rate
            flags.append((_KEEP_IN_SAMPLE if is_in_sample else 0) | (_ON_RESERVE if reserve is not None else 0))
        self.call.name_rest(decided.is_undecided)

    def _combo(self, section: CallSection, sighting: Sighting, received: float, hour: int) -> _Combo:
        """Return the combo of a group's events in one hour. It is added to the call once for all of them."""
        scope = sighting.scope
        quotas = [
            quota
            for quota in sighting.quotas
            if quota.scope is QuotaScope.GROUP
            and quota.id is not None
            and quota.window_s
            and quota.matches(scope, sighting.category)
        ]
        counter_set = CounterSet(sighting.quotas, quotas, scope, clamped(received), sighting.group_id)
        retention_s = max(sighting.retention_days, 1) * 86_400
        label = [f"{scope.project_id}:{sighting.group_id}", sighting.hashes, hour // 24, hour % 24, retention_s]
        combo = _Combo(section.combo(counter_set.counters, label), counter_set, _sample_rate(quotas))
        self._by_number[section.organization, combo.number] = combo
        return combo

    def read(self, replies: Sequence[SectionReply], max_retry_s: int | None) -> list[Counted]:
        """Return the answers in the order of the sightings."""
        counted = [Counted(_ACCEPTED, is_new=False)] * len(self._sightings)
        for section, reply in zip(self.call.sections.values(), replies, strict=True):
            firsts = [first or None for first in reply.firsts]
            plain = [Counted(_ACCEPTED, is_new=False, first_seen=first) for first in firsts]
            for part, part_reply in zip(section.parts.values(), reply.parts, strict=True):
                earlier = dict(part_reply.reasons)
                for i, code in enumerate(part_reply.decisions):
                    index, number = part.indices[i], part.combos[i]
                    if not code:
                        counted[index] = plain[number - 1]
                    elif code < _NOT_NEW:
                        rate = self._by_number[section.organization, number].sample_rate if code & _SAMPLED else None
                        counted[index] = Counted(_ACCEPTED, bool(code & _NEW), rate, firsts[number - 1])
                    else:
                        combo = self._by_number[section.organization, number]
                        counted[index] = self._rejection(code, index, combo, part_reply.refusals, earlier.get(i + 1), max_retry_s)
        return counted

    def _rejection(
        self, code: int, index: int, combo: _Combo, refusals: list[list[int]], earlier: str | None, max_retry_s: int | None
    ) -> Counted:
        """Return the answer for an event that was rejected. `earlier` is the reason that an earlier attempt gave, if any."""
        if code < _REJECTED:
            decision = Decision(Fate.RATE_LIMITED, self._sightings[index].reserve_reason or None)
        elif earlier is not None:
            decision = Decision(Fate.RATE_LIMITED, earlier or None)
        else:
            decision = combo.counters.rejection(refusals[code - _REJECTED - 1], self._now, max_retry_s)
        return Counted(decision, is_new=False)


def _sample_rate(quotas: Sequence[Quota]) -> float | None:
    """Return the lowest rate at which group quotas keep their excess, or None if one of them keeps nothing."""
    rates = [quota.sample_rate for quota in quotas if quota.limit is not None]
    return None if not rates or None in rates else min(rate for rate in rates if rate is not None)


def _fraction(event_id: str) -> float:
    """Return a number in [0, 1) that depends on the event id only, so that every worker keeps the same events."""
    return xxhash.xxh3_64_intdigest(event_id.encode("utf-8", "surrogatepass")) / 2**64
