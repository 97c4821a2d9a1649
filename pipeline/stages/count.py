"""Count: apply group quotas, count the groups, and find the first event of each."""

from __future__ import annotations

from pipeline.model.event import Event, user_tag
from pipeline.model.item import Item
from pipeline.model.outcome import Fate
from pipeline.quotas.ledger import Sighting
from pipeline.stages.contract import Context, Items, StageResult, prepare


def count_events(items: Items, ctx: Context) -> StageResult:
    """Ask the ledger for every event of the batch at once.

    Takes    grouped events. Returns those to be stored, same order, with `is_new_group`, `group_first_seen` and `sample_rate`.
    Rejects  RATE_LIMITED with the reason code of the group quota, or of the quota whose reserve let the event through admit, if
    its group is known. Cost     one call for the batch. Running it again gives the same answers.
    """
    result = StageResult()
    asking, sightings = prepare("count", items, lambda item: _sighting(item, ctx), result)
    for item, counted in zip(asking, ctx.ledger.count(ctx.polled, sightings, ctx.now), strict=True):
        if counted.decision.fate is not Fate.ACCEPTED:
            result.outcomes.append(item.rejected(counted.decision.fate, counted.decision.reason))
            continue
        item.is_new_group = counted.is_new
        item.group_first_seen = counted.first_seen
        item.sample_rate = counted.sample_rate
        item.is_uncounted = item.is_uncounted or counted.decision.uncounted
        result.kept.append(item)
    return result


def _sighting(item: Item[Event], ctx: Context) -> Sighting:
    grouping = item.grouping
    assert grouping is not None, "group comes before count"  # noqa: S101
    rules = ctx.rules.project(item.scope.project_id)
    time = item.event.get("timestamp")
    return Sighting(
        token=item.record.token,
        scope=item.scope,
        category=item.category,
        quantity=item.quantity,
        event_id=item.event_id,
        received=item.received,
        event_time=time if isinstance(time, int | float) else item.received,
        group_id=grouping.group_id(item.scope.project_id),
        hashes=(*grouping.hashes, *grouping.secondary_hashes),
        user=user_tag(item.event),
        retention_days=rules.project.retention_days,
        quotas=rules.quotas,
        reserve_reason=item.reserve_reason,
    )
