"""Admission: claims become a call of `admit.lua`, and its verdicts come back in the order of the claims."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.model.category import DataCategory
from pipeline.model.outcome import Fate
from pipeline.model.scope import Scope
from pipeline.quotas.call import Call, SectionReply
from pipeline.quotas.charges import Charges, Plan
from pipeline.quotas.continuity import Continuity
from pipeline.quotas.ledger import Claim, Polled, Verdict
from pipeline.quotas.model import Quota

ACCEPTED = Verdict()
DUPLICATE = Verdict(Fate.INVALID, "duplicate")

_DUPLICATE, _ON_RESERVE, _UNCHARGED, _REJECTED = 1, 2, 3, 8
_MAX_PLANS = 100_000
_MAX_QUANTITY = 2**48
_OVER_ACCEPT_ONCE = 1


class Plans:
    """Which quotas concern whom, remembered for as long as the rules are the same objects. At most 100,000 (some 100 MB)."""

    def __init__(self) -> None:
        self._plans: dict[tuple[Scope, DataCategory], Plan] = {}

    def of(self, scope: Scope, category: DataCategory, quotas: Sequence[Quota]) -> Plan:
        """Give the plan for one scope and category."""
        plan = self._plans.get((scope, category))
        if plan is None or plan.source is not quotas:
            if len(self._plans) >= _MAX_PLANS:
                self._plans.clear()
            plan = self._plans[scope, category] = Plan(scope, category, quotas)
        return plan

    def forget(self) -> None:
        """Drop all, and with them what is remembered of limits that are used up."""
        self._plans.clear()


class Admission:
    """One call of admit. Claims that a local memory answers are not sent: their verdicts stand from the start."""

    def __init__(
        self, polled: Sequence[Polled], claims: Sequence[Claim], plans: Plans, continuity: Continuity, now: float
    ) -> None:
        self.verdicts: list[Verdict] = [ACCEPTED] * len(claims)
        self.call = Call(polled, extra_columns=1)
        self._charges: list[Charges] = []
        self._now = now
        for place, claim in enumerate(claims):
            self._fill(place, claim, plans, continuity)

    def _fill(self, place: int, claim: Claim, plans: Plans, continuity: Continuity) -> None:
        token, scope, category, quantity, event_id, received, quotas, over_accept_once, _ = claim
        plan = plans.of(scope, category, quotas)
        if plan.refusal is not None:
            self.verdicts[place] = plan.refusal
            if not continuity.is_known(scope.organization_id, token):
                self.call.part(scope.organization_id, token)  # an earlier attempt may have charged it
            return
        charges = plan.at(received)
        if (
            charges.full_until > self._now
            and charges.full_verdict is not None
            and continuity.is_known(scope.organization_id, token)
        ):
            self.verdicts[place] = charges.full_verdict
            return
        part = self.call.part(scope.organization_id, token)
        section = part.section
        if charges.call is not section:
            charges.call = section
            self._charges.append(charges)
            charges.index = section.combo([charges.project, [section.counter(row) for row in charges.rows]])
        part.add(place, token.offset, charges.index, min(quantity, _MAX_QUANTITY), event_id, received)
        part.extra[0].append(_OVER_ACCEPT_ONCE if over_accept_once else 0)

    def read(self, replies: Sequence[SectionReply], max_retry_s: int | None, remember_s: float) -> list[Verdict]:
        """Give the verdicts, and remember which limits are used up, for `remember_s` at most."""
        for section, reply in zip(self.call.sections.values(), replies, strict=True):
            by_index = {charges.index: charges for charges in self._charges if charges.call is section}
            rejections: dict[tuple[int, int], Verdict] = {}
            for part, part_reply in zip(section.parts.values(), reply.parts, strict=True):
                earlier = part_reply.reason_of()
                for i, code in enumerate(part_reply.verdicts):
                    if code in {0, _UNCHARGED}:
                        continue
                    if code == _DUPLICATE:
                        verdict = DUPLICATE
                    elif i + 1 in earlier:
                        verdict = Verdict(Fate.RATE_LIMITED, earlier[i + 1] or None)
                    else:
                        index = part.combos[i]
                        known = rejections.get((index, code))
                        if known is None:
                            known = rejections[index, code] = by_index[index].rejection(code - _REJECTED, self._now, max_retry_s)
                        verdict = known
                    self.verdicts[part.places[i]] = verdict
            full = {index for index, _ in reply.full}
            if full:
                for charges in by_index.values():
                    mask = sum(1 << at for at, row in enumerate(charges.rows) if section.counter(row) in full)
                    if mask:
                        charges.full_until = self._now + remember_s
                        charges.full_verdict = charges.rejection(mask, self._now, max_retry_s)
        return self.verdicts
