"""Admission: claims become a call of `admit.lua`, and its verdicts come back in the order of the claims."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.model.category import DataCategory
from pipeline.model.outcome import Fate
from pipeline.model.scope import Scope
from pipeline.quotas.call import Call, Part, Section, SectionReply
from pipeline.quotas.charges import Charges, Plan
from pipeline.quotas.continuity import Continuity
from pipeline.quotas.ledger import Claim, Polled, Verdict
from pipeline.quotas.model import Quota

ACCEPTED = Verdict()
DUPLICATE = Verdict(Fate.INVALID, "duplicate")

_ACCEPTED = frozenset({0, 2, 3, 4, 7})
"""Accepted; by a dead letter's first life; beyond a fair share; and two of these whose charge was given back."""
_DUPLICATE, _REJECTED = 1, 8
_NO_SIGNATURE = bytes(8)
_MAX_PLANS = 100_000
_MAX_SEEN = 10_000


class Plans:
    """Which quotas concern whom, remembered for as long as the rules are the same objects. At most 100,000 (some 100 MB)."""

    def __init__(self) -> None:
        self._plans: dict[tuple[Scope, DataCategory], Plan] = {}
        self.memory = object()
        """Stands for what is remembered of limits that are used up."""
        self.dropping: list[Charges] = []
        """Those whose drops Redis has not been told yet."""

    def of(self, scope: Scope, category: DataCategory, quotas: Sequence[Quota]) -> Plan:
        """Give the plan for one scope and category."""
        plan = self._plans.get((scope, category))
        if plan is None or plan.source is not quotas:
            if len(self._plans) >= _MAX_PLANS:
                self._plans.clear()
            plan = self._plans[scope, category] = Plan(scope, category, quotas)
        return plan

    def reopen(self) -> None:
        """Drop what is remembered of limits that are used up: something was given back."""
        self.memory = object()


class Admission:
    """One call of admit. Claims that a local memory answers are not sent: their verdicts stand from the start."""

    def __init__(
        self, polled: Sequence[Polled], claims: Sequence[Claim], plans: Plans, continuity: Continuity, now: float
    ) -> None:
        self.verdicts: list[Verdict] = [ACCEPTED] * len(claims)
        self.call = Call(polled, extra=(list, bytearray))
        self._charges: list[Charges] = []
        self._continuity = continuity
        self._memory = plans.memory
        self._dropping = plans.dropping
        self._now = now
        recent: dict[tuple[Scope, DataCategory], Charges] = {}
        part = None
        # The loop that every event passes, so the common case is spelled out: the last event's part, a window known already.
        for place, claim in enumerate(claims):
            token, scope, category, quantity, event_id, received, quotas, over_accept_once, signature = claim
            charges = recent.get((scope, category))
            if charges is None or charges.source is not quotas or not charges.start <= received < charges.end:
                charges = recent[scope, category] = plans.of(scope, category, quotas).at(received)
            if charges.closed is not None:
                verdict = self._local_verdict(charges, claim)
                if verdict is not None:
                    self.verdicts[place] = verdict
                    continue
            if part is None or not part.holds(scope[0], token):
                part = self.call.part(scope[0], token)
            if charges.call is not part.section:
                self._enter(charges, part.section)
            part.places.append(place)
            part.offsets.append(token[2])
            part.combos.append(charges.index)
            part.quantities.append(quantity)
            part.ids.append(event_id)
            part.arrivals.append(received)
            if over_accept_once or charges.has_reserve:
                _add_rare_columns(part, charges, over_accept_once=over_accept_once, signature=signature or _NO_SIGNATURE)

        self.call.name_rest(continuity.is_known)
        self._report_drops()

    def _report_drops(self) -> None:
        """Tell Redis, where it is called anyway, what the local memory refused before."""
        for charges in self._dropping:
            section = self.call.sections.get(charges.organization)
            for at, (name, _) in enumerate(charges.counters):
                if section is not None and charges.closed_mask >> at & 1:
                    section.drops.append((name.rpartition(":")[0], charges.drops))

    def _local_verdict(self, charges: Charges, claim: Claim) -> Verdict | None:
        """Give the verdict for an event that needs no Redis: its quotas reject at once, or are known to be used up."""
        is_clean = self._continuity.is_known(claim.scope.organization_id, claim.token)
        if charges.closes_at_once:
            if not is_clean:
                self.call.part(claim.scope.organization_id, claim.token)  # an earlier attempt may have charged it
            return charges.closed
        is_remembered = charges.closed_until > self._now and charges.closed_in is self._memory
        is_novel = charges.has_reserve and (claim.signature or _NO_SIGNATURE) not in charges.seen
        if not is_clean or not is_remembered or is_novel:
            return None
        if not charges.drops:
            self._dropping.append(charges)
        charges.drops += claim.quantity
        return charges.closed

    def _enter(self, charges: Charges, section: Section) -> None:
        """Make a combo of the charges; all events of this call that share them name it by its number."""
        charges.call = section
        charges.index = section.combo(charges.counters, charges.project)
        self._charges.append(charges)

    def read(self, replies: Sequence[SectionReply], max_retry_s: int | None, remember_s: float) -> list[Verdict]:
        """Give the verdicts, and remember which limits are used up, for `remember_s` at most."""
        for section, reply in zip(self.call.sections.values(), replies, strict=True):
            by_index = {charges.index: charges for charges in self._charges if charges.call is section}
            known: dict[tuple[int, int], Verdict] = {}
            for part, part_reply in zip(section.parts.values(), reply.parts, strict=True):
                earlier = dict(part_reply.reasons)
                for i, code in enumerate(part_reply.verdicts):
                    if code in _ACCEPTED:
                        continue
                    index = part.combos[i]
                    verdict = known.get((index, code))
                    if i + 1 in earlier:
                        verdict = Verdict(
                            Fate.ACCEPTED if code < 0 else Fate.RATE_LIMITED, earlier[i + 1] or None, on_reserve=code < 0
                        )
                    elif verdict is None:
                        verdict = known[index, code] = self._verdict(code, by_index[index], max_retry_s)
                    self.verdicts[part.places[i]] = verdict
            full = frozenset(reply.full)
            for charges in by_index.values() if full else ():
                mask = sum(1 << at for at, counter in enumerate(charges.counters) if section.counter(*counter) in full)
                if mask:
                    charges.closed_until, charges.closed_in = self._now + remember_s, self._memory
                    charges.closed, charges.closed_mask = charges.rejection(mask, self._now, max_retry_s), mask
        for charges in self._dropping:
            if charges.organization in self.call.sections:
                charges.drops = 0
        self._dropping[:] = [charges for charges in self._dropping if charges.drops]
        return self.verdicts

    def _verdict(self, code: int, charges: Charges, max_retry_s: int | None) -> Verdict:
        if code == _DUPLICATE:
            return DUPLICATE
        if code > _REJECTED:
            return charges.rejection(code - _REJECTED, self._now, max_retry_s)
        return Verdict(reason=charges.rejection(-code, self._now, max_retry_s).reason, on_reserve=True)


def _add_rare_columns(part: Part, charges: Charges, *, over_accept_once: bool, signature: bytes) -> None:
    """Fill in the columns that few events need; those before it that did not get zeros."""
    before = len(part.offsets) - 1
    flags, signatures = part.extra
    if over_accept_once:
        flags.extend([0] * (before - len(flags)))
        flags.append(1)
    if charges.has_reserve:
        signatures.extend(bytes(8 * before - len(signatures)))
        signatures.extend(signature)
        if len(charges.seen) >= _MAX_SEEN:
            charges.seen.clear()
        charges.seen.add(signature)
