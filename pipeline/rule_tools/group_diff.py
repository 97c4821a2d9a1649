"""Group diff: which groups merge, split or move, from the groups that events have before and after a change of rules."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

EXAMPLES = 3
"""How many events are kept as examples of each flow from one group to another."""


class GroupRef(NamedTuple):
    """A group that an event belongs to. `primary_hash` is the primary hash of one of its events."""

    project_id: int
    group_id: int
    primary_hash: str


class ExampleEvent(NamedTuple):
    """An event to look at. `location` is its input and its position there, such as `events.jsonl:7`."""

    event_id: str
    location: str
    title: str

    def to_json(self) -> dict[str, Any]:
        """Return the example as `pipeline rules diff --json` prints it."""
        return {"event_id": self.event_id, "origin": self.location, "title": self.title}


class ChangeKind(StrEnum):
    """What happens to a set of groups that exchange events."""

    MERGE = "merge"
    """Several groups become one."""
    SPLIT = "split"
    """One group becomes several."""
    REGROUP = "regroup"
    """Several groups become several others."""
    MOVE = "move"
    """A group keeps its events and gets another id: the old group ends and a new one begins."""


@dataclass(slots=True)
class Flow:
    """The events that were in the group `before` and are in the group `after`. Both are the same for events that stay."""

    before: GroupRef
    after: GroupRef
    events: int = 0
    examples: list[ExampleEvent] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the flow with its examples."""
        return {
            "from": self.before.group_id,
            "to": self.after.group_id,
            "events": self.events,
            "examples": [example.to_json() for example in self.examples],
        }


@dataclass(frozen=True, slots=True)
class GroupChange:
    """Groups that exchange events, with every flow between them, the largest first."""

    kind: ChangeKind
    flows: tuple[Flow, ...]

    @property
    def events(self) -> int:
        """The number of events of all these groups, including those that stay where they were."""
        return sum(flow.events for flow in self.flows)

    @property
    def changed(self) -> int:
        """The number of events that are in another group afterwards."""
        return sum(flow.events for flow in self.flows if flow.before.group_id != flow.after.group_id)

    def groups(self, *, after: bool) -> list[tuple[GroupRef, int]]:
        """Return the groups before or after the change with their number of events, the largest first."""
        sizes: Counter[GroupRef] = Counter()
        for flow in self.flows:
            sizes[flow.after if after else flow.before] += flow.events
        return sorted(sizes.items(), key=lambda size: (-size[1], size[0]))

    def to_json(self) -> dict[str, Any]:
        """Return the change with its flows."""
        return {
            "kind": self.kind.value,
            "project_id": self.flows[0].before.project_id,
            "events": self.events,
            "changed_events": self.changed,
            "before": [_group_json(*size) for size in self.groups(after=False)],
            "after": [_group_json(*size) for size in self.groups(after=True)],
            "flows": [flow.to_json() for flow in self.flows],
        }


@dataclass(frozen=True, slots=True)
class GroupDiff:
    """What a change of rules does to groups. The changes that concern most events come first."""

    events: int
    groups_before: int
    groups_after: int
    changes: tuple[GroupChange, ...]

    @property
    def changed(self) -> int:
        """The number of events that are in another group afterwards."""
        return sum(change.changed for change in self.changes)

    def to_json(self) -> dict[str, Any]:
        """Return the counts and the changes."""
        return {
            "events": self.events,
            "changed_events": self.changed,
            "groups_before": self.groups_before,
            "groups_after": self.groups_after,
            "changes": [change.to_json() for change in self.changes],
        }


class GroupDiffBuilder:
    """Collects the group of each event before and after. Its memory grows with the number of groups, not of events."""

    def __init__(self) -> None:
        self._flows: dict[tuple[int, int, int], Flow] = {}

    def add(self, before: GroupRef, after: GroupRef, example: ExampleEvent) -> None:
        """Count one event. Both groups belong to the event's project."""
        key = (before.project_id, before.group_id, after.group_id)
        flow = self._flows.setdefault(key, Flow(before, after))
        flow.events += 1
        if len(flow.examples) < EXAMPLES:
            flow.examples.append(example)

    def build(self) -> GroupDiff:
        """Return the groups that merge, split or move, with what was counted."""
        flows = list(self._flows.values())
        changes = [
            GroupChange(kind, tuple(sorted(tied, key=lambda flow: (-flow.events, flow.before, flow.after))))
            for tied in _connected(flows)
            if (kind := _kind(tied)) is not None
        ]
        changes.sort(key=lambda change: (-change.events, change.flows[0].before))
        return GroupDiff(
            events=sum(flow.events for flow in flows),
            groups_before=len({(flow.before.project_id, flow.before.group_id) for flow in flows}),
            groups_after=len({(flow.after.project_id, flow.after.group_id) for flow in flows}),
            changes=tuple(changes),
        )


def _kind(flows: list[Flow]) -> ChangeKind | None:
    """Return what happens to connected groups, or None if nothing does."""
    before = {flow.before.group_id for flow in flows}
    after = {flow.after.group_id for flow in flows}
    if len(before) == 1 and len(after) == 1:
        return None if before == after else ChangeKind.MOVE
    if len(after) == 1:
        return ChangeKind.MERGE
    return ChangeKind.SPLIT if len(before) == 1 else ChangeKind.REGROUP


def _connected(flows: Iterable[Flow]) -> list[list[Flow]]:
    """Return the flows in sets: two flows are in one set if they share a group on either side, directly or through others."""
    parents: dict[tuple[str, int, int], tuple[str, int, int]] = {}

    def root(node: tuple[str, int, int]) -> tuple[str, int, int]:
        parents.setdefault(node, node)
        while parents[node] != node:
            parents[node] = parents[parents[node]]
            node = parents[node]
        return node

    ends = [
        (flow, ("before", flow.before.project_id, flow.before.group_id), ("after", flow.after.project_id, flow.after.group_id))
        for flow in flows
    ]
    for _, before, after in ends:
        parents[root(before)] = root(after)
    connected: dict[tuple[str, int, int], list[Flow]] = defaultdict(list)
    for flow, before, _ in ends:
        connected[root(before)].append(flow)
    return list(connected.values())


def _group_json(group: GroupRef, events: int) -> dict[str, Any]:
    return {"group_id": group.group_id, "hash": group.primary_hash, "events": events}
