"""Admit: refuse duplicates and events over a quota."""

from __future__ import annotations

from pipeline.model.event import Event
from pipeline.model.item import Item
from pipeline.model.outcome import Fate
from pipeline.quotas.ledger import Claim
from pipeline.quotas.signature import signature
from pipeline.stages.contract import Context, Items, StageResult, prepare


def admit_events(items: Items, ctx: Context) -> StageResult:
    """Ask the ledger for every event of the batch at once.

    Takes    filtered events, since a dropped event consumes no quota. Returns the admitted ones, same order.
    Rejects  INVALID `duplicate`; RATE_LIMITED with the reason code of the first quota that refused.
    Cost     one call for the batch. Running it again gives the same decisions.
    """
    result = StageResult()
    asking, claims = prepare("admit", items, lambda item: _claim(item, ctx), result)
    for item, decision in zip(asking, ctx.ledger.admit(ctx.polled, claims, ctx.now), strict=True):
        if decision.fate is not Fate.ACCEPTED:
            result.outcomes.append(item.rejected(decision.fate, decision.reason))
            continue
        item.reserve_reason = (decision.reason or "") if decision.on_reserve else None
        item.is_uncounted = decision.uncounted
        result.kept.append(item)
    return result


def _claim(item: Item[Event], ctx: Context) -> Claim:
    quotas = ctx.rules.project(item.scope.project_id).quotas
    return Claim(
        item.record.token,
        item.scope,
        item.category,
        item.quantity,
        item.event_id,
        item.received,
        quotas,
        signature=signature(item.event) if any(quota.reserve for quota in quotas) else None,
    )
