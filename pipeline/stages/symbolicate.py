"""Symbolicate: resolve minified JavaScript frames into original ones."""

from __future__ import annotations

from pipeline.model.event import Event, all_frames
from pipeline.model.item import Item
from pipeline.sourcemaps.frame_selection import PLATFORMS, FrameSelection, select_frames
from pipeline.sourcemaps.resolve import resolve_event
from pipeline.stages.contract import Context, Items, StageResult, each


def symbolicate_events(items: Items, ctx: Context) -> StageResult:
    """Replace frames that have a source map, and name in the event's errors why others stay minified.

    Takes    normalized events. Returns all of them, same order.
    Rejects  nothing. A frame that cannot be resolved stays as it is.
    Cost     a batch's artifacts are looked up once, together; then O(frames). Running twice gives the same result.
    """
    artifacts = ctx.artifacts
    if artifacts is None:
        return StageResult(kept=list(items))
    selections: dict[int, FrameSelection] = {}
    for item in items:
        selection = select_frames(item.event, item.scope.project_id)
        if selection is not None:
            selections[id(item)] = selection
    modules = artifacts.look_up(key for selection in selections.values() for key in selection.module_keys)

    def resolve(item: Item[Event], _: Context) -> Item[Event]:
        selection = selections.get(id(item))
        if selection is not None:
            artifacts.count(
                item.scope.project_id, item.event.get("release"), resolve_event(item.event, selection, modules, artifacts.source)
            )
        return item

    return each("symbolicate", resolve).run(items, ctx)


def is_app_symbolicated(event: Event) -> bool | None:
    """Whether all in-app JavaScript frames of an event were resolved by a source map.

    Returns None for an event without such a frame, and for events of other platforms. Looks at the frames of the exceptions, or
    at those of the event's own stack if there are no exceptions. Call it after the stack-trace rules have set `in_app`.
    """
    platform = event.get("platform")
    if platform not in PLATFORMS:
        return None
    result: bool | None = None
    for frame in all_frames(event):
        if frame.get("in_app") and (frame.get("platform") or platform) in PLATFORMS:
            if not (frame.get("data") or {}).get("symbolicated"):
                return False
            result = True
    return result
