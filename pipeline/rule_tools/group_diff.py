"""Diff: what a change of rules does to groups, from where each event was and where it would be."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

EXAMPLES = 3
"""Events that are kept to show for each way from a group to another."""


class Place(NamedTuple):
    """The group that an event belongs to. `primary_hash` is one by which the group is known."""

    project_id: int
    group_id: int
    primary_hash: str


class Example(NamedTuple):
    """An event that people can look at: `origin` is its input and position there."""

    event_id: str
    origin: str
    title: str


class Kind(StrEnum):
    """What happens to the groups that a change ties together."""

    MERGE = "merge"
    """Several groups become one."""
    SPLIT = "split"
    """One group becomes several."""
    REGROUP = "regroup"
    """Several groups become several, cut otherwise."""
    MOVE = "move"
    """A group keeps its events and gets another id: the old group ends, a new one begins."""


@dataclass(slots=True)
class Flow:
    """The events that go from one group to another, or stay: `before` and `after` are then the same."""

    before: Place
    after: Place
    events: int = 0
    examples: list[Example] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Give the flow with its examples."""
        return {
            "from": self.before.group_id,
            "to": self.after.group_id,
            "events": self.events,
            "examples": [example._asdict() for example in self.examples],
        }


@dataclass(frozen=True, slots=True)
class Change:
    """Groups that a change ties together, with every flow between them."""

    kind: Kind
    flows: tuple[Flow, ...]

    @property
    def events(self) -> int:
        """Count the events of all groups concerned, those that stay included."""
        return sum(flow.events for flow in self.flows)

    @property
    def changed(self) -> int:
        """Count the events whose group is another afterwards."""
        return sum(flow.events for flow in self.flows if flow.before.group_id != flow.after.group_id)

    def groups(self, *, after: bool) -> list[tuple[Place, int]]:
        """Give the groups on one side with their events, the largest first."""
        sizes: Counter[Place] = Counter()
        for flow in self.flows:
            sizes[flow.after if after else flow.before] += flow.events
        return sorted(sizes.items(), key=lambda size: (-size[1], size[0]))

    def to_json(self) -> dict[str, Any]:
        """Give the change, largest flow first."""
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
class Report:
    """What a change of rules comes to, the changes with most events first."""

    events: int
    groups_before: int
    groups_after: int
    changes: tuple[Change, ...]

    @property
    def changed(self) -> int:
        """Count the events whose group is another afterwards."""
        return sum(change.changed for change in self.changes)

    def to_json(self) -> dict[str, Any]:
        """Give the report as one JSON object."""
        return {
            "events": self.events,
            "changed_events": self.changed,
            "groups_before": self.groups_before,
            "groups_after": self.groups_after,
            "changes": [change.to_json() for change in self.changes],
        }


class GroupsDiff:
    """Collects where events were and would be. Memory: in proportion to groups, not to events."""

    def __init__(self) -> None:
        self._flows: dict[tuple[int, int, int], Flow] = {}

    def add(self, before: Place, after: Place, example: Example) -> None:
        """Count one event; both places are of its project."""
        key = (before.project_id, before.group_id, after.group_id)
        flow = self._flows.setdefault(key, Flow(before, after))
        flow.events += 1
        if len(flow.examples) < EXAMPLES:
            flow.examples.append(example)

    def report(self) -> Report:
        """Say which groups merge, split or move."""
        flows = list(self._flows.values())
        changes = [
            Change(kind, tuple(sorted(tied, key=lambda flow: (-flow.events, flow.before, flow.after))))
            for tied in _tied_together(flows)
            if (kind := _kind(tied)) is not None
        ]
        changes.sort(key=lambda change: (-change.events, change.flows[0].before))
        return Report(
            events=sum(flow.events for flow in flows),
            groups_before=len({(flow.before.project_id, flow.before.group_id) for flow in flows}),
            groups_after=len({(flow.after.project_id, flow.after.group_id) for flow in flows}),
            changes=tuple(changes),
        )


def _kind(flows: list[Flow]) -> Kind | None:
    """Name what happens to groups that are tied together; None where nothing does."""
    before = {flow.before.group_id for flow in flows}
    after = {flow.after.group_id for flow in flows}
    if len(before) == 1 and len(after) == 1:
        return None if before == after else Kind.MOVE
    if len(after) == 1:
        return Kind.MERGE
    return Kind.SPLIT if len(before) == 1 else Kind.REGROUP


def _tied_together(flows: Iterable[Flow]) -> list[list[Flow]]:
    """Gather flows that share a group on either side, directly or through others."""
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
    tied: dict[tuple[str, int, int], list[Flow]] = defaultdict(list)
    for flow, before, _ in ends:
        tied[root(before)].append(flow)
    return list(tied.values())


def _group_json(place: Place, events: int) -> dict[str, Any]:
    return {"group_id": place.group_id, "hash": place.primary_hash, "events": events}
