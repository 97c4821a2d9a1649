"""Admission: turn claims into a call of `admit.lua`, and its reply into decisions in the order of the claims."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.model.category import DataCategory
from pipeline.model.outcome import Fate
from pipeline.model.scope import Scope
from pipeline.quotas.call import Call, CallPart, CallSection, SectionReply
from pipeline.quotas.counters import CounterSet, MatchingQuotas
from pipeline.quotas.decided_offsets import DecidedOffsets
from pipeline.quotas.ledger import Claim, Decision, Polled
from pipeline.quotas.model import LONGEST_AHEAD_S, Quota

ACCEPTED = Decision()
DUPLICATE = Decision(Fate.INVALID, "duplicate")

_ACCEPTED = frozenset({0, 2, 3, 4, 7})
"""The codes of `decisions.lua` that mean accepted: ACCEPTED, UNCHARGED, BEYOND_SHARE, GIVEN_BACK and RESERVE_GIVEN_BACK."""
_DUPLICATE, _REJECTED = 1, 8
_NO_SIGNATURE = bytes(8)
_MAX_REMEMBERED = 100_000
_MAX_SEEN = 10_000


class AdmissionMemory:
    """What a worker remembers between calls: the quotas that count each scope, and the limits that are used up.

    Quotas are matched again when the rules have changed. At most 100,000 scopes are kept (some 100 MB).
    """

    def __init__(self) -> None:
        self._matching: dict[tuple[Scope, DataCategory], MatchingQuotas] = {}
        self.generation = object()
        """Used-up limits are remembered with the generation in which they were found. Those of another one are asked about
        again."""
        self.unreported: list[CounterSet] = []
        """The counters that refused something without a call, as long as Redis has not been told."""

    def quotas_of(self, scope: Scope, category: DataCategory, quotas: Sequence[Quota]) -> MatchingQuotas:
        """Return those of a project's quotas that count this scope and category."""
        matching = self._matching.get((scope, category))
        if matching is None or matching.source is not quotas:
            if len(self._matching) >= _MAX_REMEMBERED:
                self._matching.clear()
            matching = self._matching[scope, category] = MatchingQuotas(scope, category, quotas)
        return matching

    def forget_full_limits(self) -> None:
        """Ask Redis again about all limits that were used up, because something was given back."""
        self.generation = object()


class Admission:
    """One call of admit. A claim that can be decided from memory is not sent."""

    def __init__(
        self, polled: Sequence[Polled], claims: Sequence[Claim], memory: AdmissionMemory, decided: DecidedOffsets, now: float
    ) -> None:
        self.decisions: list[Decision] = [ACCEPTED] * len(claims)
        self.call = Call(polled, extra=(list, bytearray))
        self._counter_sets: list[CounterSet] = []
        self._decided = decided
        self._memory = memory
        self._now = now
        recent: dict[tuple[Scope, DataCategory], CounterSet] = {}
        part = None
        latest = now + LONGEST_AHEAD_S
        # Every event passes through this loop, so the common case comes first: the part and the window of the last event.
        for index, claim in enumerate(claims):
            token, scope, category, quantity, event_id, received, quotas, over_accept_once, signature = claim
            if received > latest:  # noqa: PLR1730 -- a third of the time of min()
                received = latest
            counter_set = recent.get((scope, category))
            if counter_set is None or counter_set.source is not quotas or not counter_set.start <= received < counter_set.end:
                counter_set = recent[scope, category] = memory.quotas_of(scope, category, quotas).at(received)
            if counter_set.closed is not None:
                decision = self._local_decision(counter_set, claim)
                if decision is not None:
                    self.decisions[index] = decision
                    continue
            if part is None or not part.holds(scope[0], token):
                part = self.call.part(scope[0], token)
            if counter_set.call is not part.section:
                self._enter(counter_set, part.section)
            part.indices.append(index)
            part.offsets.append(token[2])
            part.combos.append(counter_set.combo)
            part.quantities.append(quantity)
            part.ids.append(event_id)
            part.arrivals.append(received)
            if over_accept_once or counter_set.has_reserve:
                _add_rare_columns(part, counter_set, over_accept_once=over_accept_once, signature=signature or _NO_SIGNATURE)

        self.call.name_rest(decided.is_undecided)
        self._report_drops()

    def _report_drops(self) -> None:
        """Add to the call what was refused without a call before, for organizations that the call names anyway."""
        for counter_set in self._memory.unreported:
            section = self.call.sections.get(counter_set.organization)
            if section is not None:
                names = (counter_set.counters[place - 1][0] for place in counter_set.closed_by)
                section.drops.extend((name.rpartition(":")[0], counter_set.drops) for name in names)

    def _local_decision(self, counter_set: CounterSet, claim: Claim) -> Decision | None:
        """Return the decision for an event whose quotas have the limit 0 or are known to be used up, else None."""
        is_clean = self._decided.is_undecided(claim.scope.organization_id, claim.token)
        if counter_set.closes_at_once:
            if not is_clean:
                self.call.part(claim.scope.organization_id, claim.token)  # an earlier attempt may have charged it
            return counter_set.closed
        is_remembered = counter_set.closed_until > self._now and counter_set.closed_generation is self._memory.generation
        is_novel = counter_set.has_reserve and (claim.signature or _NO_SIGNATURE) not in counter_set.seen
        if not is_clean or not is_remembered or is_novel:
            return None
        if not counter_set.drops:
            self._memory.unreported.append(counter_set)
        counter_set.drops += claim.quantity
        return counter_set.closed

    def _enter(self, counter_set: CounterSet, section: CallSection) -> None:
        """Add the counters to the call as a combo. All events of the call that are charged to them refer to it by its number."""
        counter_set.call = section
        counter_set.combo = section.combo(counter_set.counters, counter_set.project)
        self._counter_sets.append(counter_set)

    def read(self, replies: Sequence[SectionReply], max_retry_s: int | None, remember_s: float) -> list[Decision]:
        """Return the decisions in the order of the claims, and remember for `remember_s` which limits are used up."""
        for section, reply in zip(self.call.sections.values(), replies, strict=True):
            by_combo = {counter_set.combo: counter_set for counter_set in self._counter_sets if counter_set.call is section}
            for part, part_reply in zip(section.parts.values(), reply.parts, strict=True):
                known: dict[tuple[int, int], Decision] = {}
                earlier = dict(part_reply.reasons)
                for i, code in enumerate(part_reply.decisions):
                    if code in _ACCEPTED:
                        continue
                    combo = part.combos[i]
                    decision = known.get((combo, code))
                    if i + 1 in earlier:
                        decision = Decision(
                            Fate.ACCEPTED if code < 0 else Fate.RATE_LIMITED, earlier[i + 1] or None, on_reserve=code < 0
                        )
                    elif decision is None:
                        decision = known[combo, code] = self._decision(code, part_reply.refusals, by_combo[combo], max_retry_s)
                    self.decisions[part.indices[i]] = decision
            full = frozenset(reply.full)
            for counter_set in by_combo.values() if full else ():
                used_up = [place for place, counter in enumerate(counter_set.counters, 1) if section.counter(*counter) in full]
                if used_up:
                    counter_set.closed_until = self._now + remember_s
                    counter_set.closed_generation = self._memory.generation
                    counter_set.closed = counter_set.rejection(used_up, self._now, max_retry_s)
                    counter_set.closed_by = used_up
        unreported = self._memory.unreported
        for counter_set in unreported:
            if counter_set.organization in self.call.sections:
                counter_set.drops = 0
        unreported[:] = [counter_set for counter_set in unreported if counter_set.drops]
        return self.decisions

    def _decision(self, code: int, refusals: list[list[int]], counter_set: CounterSet, max_retry_s: int | None) -> Decision:
        if code == _DUPLICATE:
            return DUPLICATE
        places = refusals[(code - _REJECTED if code > _REJECTED else -code) - 1]
        rejection = counter_set.rejection(places, self._now, max_retry_s)
        return rejection if code > _REJECTED else Decision(reason=rejection.reason, on_reserve=True)


def _add_rare_columns(part: CallPart, counter_set: CounterSet, *, over_accept_once: bool, signature: bytes) -> None:
    """Fill in the columns that few events need. Earlier events that left them out get zeros."""
    before = len(part.offsets) - 1
    flags, signatures = part.extra
    if over_accept_once:
        flags.extend([0] * (before - len(flags)))
        flags.append(1)
    if counter_set.has_reserve:
        signatures.extend(bytes(8 * before - len(signatures)))
        signatures.extend(signature)
        if len(counter_set.seen) >= _MAX_SEEN:
            counter_set.seen.clear()
        counter_set.seen.add(signature)
