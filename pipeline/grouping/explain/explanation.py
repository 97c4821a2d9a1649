"""Explanation: why an event groups as it does, as data; and of two events, why they group together or what differs first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pipeline.grouping.component import Component
from pipeline.grouping.explain.rule_tracing import TouchedFrame
from pipeline.grouping.variants import Variant
from pipeline.model.grouping import Grouping


@dataclass(frozen=True, slots=True)
class MatchedRule:
    """The fingerprint rule that an event matched."""

    text: str
    file: str
    line: int
    is_builtin: bool

    def to_json(self) -> dict[str, Any]:
        """Give the rule as `explain` prints it."""
        return {"rule": self.text, "file": self.file, "line": self.line, "is_builtin": self.is_builtin}


@dataclass(slots=True)
class Explanation:
    """All there is to say about one event's grouping."""

    event_id: str | None
    configuration: str
    grouping: Grouping
    matched_rule: MatchedRule | None
    client_fingerprint: tuple[str, ...]
    """What the sender wrote, where that is not the default; a matched rule goes before it."""
    title: str | None
    variants: dict[str, Variant]
    touched_frames: list[TouchedFrame] = field(default_factory=list)
    project_id: int | None = None
    """Set by the caller, who knows whose event it is; so is the title of one that no rule names."""

    @property
    def hashes(self) -> tuple[str, ...]:
        """The published hashes, the primary first."""
        return self.grouping.hashes

    @property
    def fingerprint(self) -> tuple[str, ...]:
        """The fingerprint in force, variables as written."""
        return self.grouping.fingerprint

    @property
    def primary_hash(self) -> str:
        """The hash that names the group."""
        return self.hashes[0]

    def primary_variant(self) -> tuple[str, Variant]:
        """Give the variant whose hash is the primary one."""
        return next((name, variant) for name, variant in self.variants.items() if variant.hash == self.primary_hash)

    def to_json(self) -> dict[str, Any]:
        """Give the contract's line (design, section 4)."""
        return {
            "event_id": self.event_id,
            "project_id": self.project_id,
            "title": self.title,
            "primary_hash": self.primary_hash,
            "hashes": list(self.hashes),
            "secondary_hashes": list(self.grouping.secondary_hashes),
            "configuration": self.configuration,
            "decided_group_id": self.grouping.decided_group_id,
            "fingerprint": list(self.grouping.fingerprint),
            "matched_fingerprint_rule": self.matched_rule.to_json() if self.matched_rule is not None else None,
            "client_fingerprint": list(self.client_fingerprint),
            "variants": {name: self._variant_json(variant) for name, variant in self.variants.items()},
            "stack_trace_rules": [touched.to_json() for touched in self.touched_frames],
        }

    def _variant_json(self, variant: Variant) -> dict[str, Any]:
        """Give a variant as `explain` prints it; one that a fingerprint takes part in says what the sender wrote."""
        sent = {"client_values": list(self.client_fingerprint)} if variant.values and self.client_fingerprint else {}
        return variant.to_json() | sent


Leaf = tuple[str, str]
"""Where a contributing value stands (`app.exception.type`, frames numbered), and its text."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two events have in common. `shared` holds the contributing values that both begin with, `differs` the next of each."""

    together: bool
    reason: str
    events: tuple[str | None, str | None]
    variants: tuple[str, str]
    shared_hashes: tuple[str, ...]
    shared: list[Leaf]
    differs: tuple[Leaf | None, Leaf | None] | None

    def to_json(self) -> dict[str, Any]:
        """Give the comparison as one JSON object."""
        return {
            "together": self.together,
            "reason": self.reason,
            "events": list(self.events),
            "variants": list(self.variants),
            "shared_hashes": list(self.shared_hashes),
            "shared_values": [{"at": at, "value": value} for at, value in self.shared],
            "first_difference": None
            if self.differs is None
            else [{"at": leaf[0], "value": leaf[1]} if leaf is not None else None for leaf in self.differs],
        }


def compare(a: Explanation, b: Explanation) -> Comparison:
    """Say whether two events are of one group and by which values, or which contributing value differs first.

    A group is named by its events' primary hash, or by what a person decided; other hashes may be shared by several groups.
    """
    shared_hashes = tuple(hash_ for hash_ in a.hashes if hash_ in b.hashes)
    left, right = a.primary_variant(), _counterpart(a, b)
    leaves_a, leaves_b = list(leaves(*left)), list(leaves(*right))
    common = _common_start(leaves_a, leaves_b)
    differs = None
    if len(common) < max(len(leaves_a), len(leaves_b)):
        differs = (_at(leaves_a, len(common)), _at(leaves_b, len(common)))
    project = a.project_id or 0
    together = a.project_id == b.project_id and a.grouping.group_id(project) == b.grouping.group_id(project)
    if a.project_id != b.project_id:
        reason = f"they belong to different projects ({a.project_id} and {b.project_id})"
    elif together and a.primary_hash == b.primary_hash:
        reason = f"both have the primary hash {a.primary_hash} ({left[0]}: {left[1].description})"
    elif together:
        reason = f"both were put into group {a.grouping.group_id(project)}, by hand or before the configuration changed"
    elif a.primary_hash == b.primary_hash:
        reason = "both have one primary hash, and one of them was put into another group by hand"
    else:
        reason = _difference(left, right, differs)
    return Comparison(together, reason, (a.event_id, b.event_id), (left[0], right[0]), shared_hashes, common, differs)


def leaves(name: str, variant: Variant) -> Iterator[Leaf]:
    """Give the values that a variant's hash is made of, with the path to each."""
    if variant.component is not None and variant.component.contributes:
        for value in variant.values:
            yield f"{name}.fingerprint", value
        yield from _tree_leaves(variant.component, variant.component.id)
    elif variant.values:
        for value in variant.values:
            yield f"{name}.fingerprint", value
    elif variant.hash is not None:
        yield name, variant.hash


def _counterpart(a: Explanation, b: Explanation) -> tuple[str, Variant]:
    """Choose the second event's variant to compare: the one of the first's primary variant's name, else its own primary one."""
    name, _ = a.primary_variant()
    other = b.variants.get(name)
    return (name, other) if other is not None and other.contributes else b.primary_variant()


def _common_start(a: list[Leaf], b: list[Leaf]) -> list[Leaf]:
    common = []
    for left, right in zip(a, b, strict=False):
        if left != right:
            break
        common.append(left)
    return common


def _at(leaves_: list[Leaf], index: int) -> Leaf | None:
    return leaves_[index] if index < len(leaves_) else None


def _difference(a: tuple[str, Variant], b: tuple[str, Variant], differs: tuple[Leaf | None, Leaf | None] | None) -> str:
    if a[0] != b[0]:
        return f"the first is grouped by {a[0]} ({a[1].description}), the second by {b[0]} ({b[1].description})"
    left, right = differs if differs is not None else (None, None)
    if left is not None and right is not None and left[0] == right[0]:
        return f"{left[0]} is {left[1]!r} in the first and {right[1]!r} in the second"
    if left is None and right is not None:
        return f"only the second has {right[0]} {right[1]!r}"
    if right is None and left is not None:
        return f"only the first has {left[0]} {left[1]!r}"
    if left is None or right is None:
        return "the same values make another hash: their configurations differ"
    return f"the first has {left[0]} {left[1]!r} where the second has {right[0]} {right[1]!r}"


def _tree_leaves(component: Component, path: str) -> Iterator[Leaf]:
    counts: dict[str, int] = {}
    for value in component.values:
        if not isinstance(value, Component):
            yield path, str(value)
            continue
        number = counts[value.id] = counts.get(value.id, -1) + 1
        if value.contributes:
            repeated = value.id in {"frame", "exception"} and component.id in {"stacktrace", "chained-exception"}
            yield from _tree_leaves(value, f"{path}.{value.id}{f'[{number}]' if repeated else ''}")
