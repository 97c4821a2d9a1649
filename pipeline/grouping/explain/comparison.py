"""Compares two events: why they are in one group, or which of their values differs first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pipeline.grouping.component import Component
from pipeline.grouping.explain.explanation import Explanation
from pipeline.grouping.variants import Variant

Leaf = tuple[str, str]
"""The path of a contributing value, such as `app.exception.type` with frames numbered, and its text."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The comparison of two events.

    `shared` are the contributing values that both begin with, and `differs` is the next value of each (None if it has
    no more). `differs` is None if all values are equal.
    """

    together: bool
    reason: str
    events: tuple[str | None, str | None]
    variants: tuple[str, str]
    shared_hashes: tuple[str, ...]
    shared: list[Leaf]
    differs: tuple[Leaf | None, Leaf | None] | None

    def to_json(self) -> dict[str, Any]:
        """Return the object that `explain --compare --json` prints."""
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
    """Return whether two events are in one group and by which values, or which contributing value differs first.

    The primary hash names the group, unless an override does. Several groups may share other hashes.
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
    """Yield the values that a variant's hash is made of, with the path of each."""
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
    """Return the second event's variant to compare: that of the first's primary variant's name, else its own primary one."""
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
