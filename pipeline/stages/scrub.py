"""Scrub: remove secrets and personal data from an event."""

from __future__ import annotations

from pipeline.model.event import Event, frames_in, platform_of, stack_holders
from pipeline.model.item import Item, UnsettledStack
from pipeline.model.known_stack import KnownStack
from pipeline.rules.snapshot import ProjectRules
from pipeline.sourcemaps.frame_selection import PLATFORMS
from pipeline.stages.contract import Context


def scrub_event(item: Item[Event], ctx: Context) -> Item[Event]:
    """Replace what the project's scrubbing rules find, in place, and note it in `_meta`.

    Takes    normalized events. Returns all of them; rejects nothing.
    Cost     linear in the event's text, no I/O. Running twice gives the same result.

    A known stack that was settled under the same rules takes its place in the event: there was nothing to scrub in it. For one
    that was not, the event gets a copy, and whether that is changed decides if it can be settled.
    """
    rules = ctx.rules.project(item.scope.project_id)
    copied = [] if ctx.known_stacks is None else _settle_or_copy(item.event, rules, are_resolved=ctx.artifacts is not None)
    rules.scrubber.scrub(item.event)
    if copied:
        item.unsettled = [one for one in copied if one.holder.get("stacktrace") == one.known]
    return item


def _settle_or_copy(event: Event, rules: ProjectRules, *, are_resolved: bool) -> list[UnsettledStack]:
    """Replace the known stacks of an event. Return those that were copied and may be settled.

    If frames of JavaScript `are_resolved`, an event with such frames has no settled stacks: what becomes of them depends on the
    event's artifacts too.
    """
    found = [(place, holder) for place, holder in stack_holders(event) if type(holder.get("stacktrace")) is KnownStack]
    if not found:
        return []
    copied = []
    platform = platform_of(event)
    can_settle = not (are_resolved and _has_scripts(event, platform))
    for place, holder in found:
        known = holder["stacktrace"]
        owner = holder if place[0] == "exception" else None
        grouping_key = rules.grouper.stack_key(platform, owner) if can_settle else None
        if grouping_key is None:
            holder["stacktrace"] = known.copied()
            continue
        key = (rules.scrubber.version, place, grouping_key)
        settled = known.settled.get(key)
        if settled is None:
            copied.append(UnsettledStack(known, key, holder))
        holder["stacktrace"] = settled or known.copied()
    return copied


def _has_scripts(event: Event, platform: str) -> bool:
    if platform in PLATFORMS:
        return True
    stacks = [frames_in(holder.get("stacktrace")) for _, holder in stack_holders(event)]
    return any(frame.get("platform") in PLATFORMS for frames in stacks for frame in frames)


def settle_stacks(item: Item[Event]) -> None:
    """Remember what the stages made of an event's known stacks. Call it once no stage writes to them any more."""
    for known, key, holder in item.unsettled:
        known.settle(key, holder["stacktrace"])
