"""Resolve minified JavaScript frames into original ones."""

from __future__ import annotations

from pipeline.model.item import Item
from pipeline.sourcemaps.plan import Plan, plan_event
from pipeline.sourcemaps.resolve import resolve_event
from pipeline.stages.contract import Batch, Context, StageResult, each


def symbolicate(batch: Batch, ctx: Context) -> StageResult:
    """Replace the frames that a source map is known for, and name in the event's errors why others stay minified.

    Takes    normalized events. Gives all of them, same order.
    Rejects  nothing: a frame that cannot be resolved stays as it came.
    Cost     a batch's artifacts are looked up once, together; then O(frames). Running twice gives the same result.
    """
    artifacts = ctx.artifacts
    if artifacts is None:
        return StageResult(kept=list(batch))
    plans: dict[int, Plan] = {}
    for item in batch:
        plan = plan_event(item.event, item.scope.project_id)
        if plan is not None:
            plans[id(item)] = plan
    modules = artifacts.look_up(key for plan in plans.values() for key in plan.module_keys)

    def resolve(item: Item, _: Context) -> Item:
        plan = plans.get(id(item))
        if plan is not None:
            artifacts.count(
                item.scope.project_id, item.event.get("release"), resolve_event(item.event, plan, modules, artifacts.source)
            )
        return item

    return each("symbolicate", resolve).run(batch, ctx)
