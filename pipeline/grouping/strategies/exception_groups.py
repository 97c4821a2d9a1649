"""Exception groups: which exceptions of a tree an event is grouped by. See docs/spec/grouping.md, "Exceptions".

SDKs number exceptions (`mechanism.exception_id`) and name their parents (`parent_id`). A group of a hundred equal failures is
the same problem as a group of two, so equal members count once. A group with one distinct member is reduced to that member.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal

from pipeline.model.event import ExceptionValue

MAX_STEPS = 10_000
"""Limits the walk through a tree. If ids are used twice, there are exponentially many ways through it."""


class _BrokenTreeError(Exception):
    """The tree has no root, or a cycle."""


@dataclass(slots=True)
class _Node:
    """A node of the tree. `exception` and `children` are indexes into the event's exceptions."""

    exception: int | None = None
    children: list[int] = field(default_factory=list)


def has_ids(exceptions: Sequence[ExceptionValue]) -> bool:
    """Whether every exception has an id, so that the tree can be built."""
    return all(_id(exception, "exception_id") is not None for exception in exceptions)


def representatives(
    exceptions: Sequence[ExceptionValue], identity: Callable[[ExceptionValue], object]
) -> tuple[list[int], int | None]:
    """Return the indexes of the exceptions to group by, and the id of the one that a group is reduced to, or None.

    If the tree is broken, these are all exceptions in the event's order. `identity` returns equal values for exceptions that
    group alike.
    """
    tree = _build(exceptions)
    try:
        root = _root(tree)
        tops = sorted(_top_level(root, tree, exceptions), key=lambda index: _type(exceptions[index]), reverse=True)
        distinct = (
            tops if len(tops) == 1 else [next(same) for _, same in groupby(tops, key=lambda top: identity(exceptions[top]))]
        )
        if len(distinct) == 1:
            return _first_path(distinct[0], tree, exceptions), _id(exceptions[distinct[0]], "exception_id")
    except _BrokenTreeError:
        return list(range(len(exceptions))), None
    return [*distinct, root], None


def _build(exceptions: Sequence[ExceptionValue]) -> dict[int, _Node]:
    """Return the nodes by exception id.

    Children are in the reverse of the event's order. Of several exceptions with one id, the first is the node.
    """
    tree: dict[int, _Node] = {}
    for index in reversed(range(len(exceptions))):
        own = _id(exceptions[index], "exception_id")
        if own is None:
            continue
        tree.setdefault(own, _Node()).exception = index
        parent = _id(exceptions[index], "parent_id")
        if parent is not None:
            tree.setdefault(parent, _Node()).children.append(index)
    return tree


def _root(tree: dict[int, _Node]) -> int:
    node = tree.get(0)
    if node is None or node.exception is None:
        raise _BrokenTreeError
    return node.exception


def _top_level(root: int, tree: dict[int, _Node], exceptions: Sequence[ExceptionValue]) -> list[int]:
    """Return the first descendants that are not groups themselves, depth first."""
    found: list[int] = []
    open_: list[tuple[int, frozenset[int]]] = [(root, frozenset())]
    for _ in range(MAX_STEPS):
        if not open_:
            return found
        index, path = open_.pop()
        if not (exceptions[index].get("mechanism") or {}).get("is_exception_group"):
            found.append(index)
            continue
        own = _id(exceptions[index], "exception_id") or 0
        if own in path:
            raise _BrokenTreeError
        open_ += [(child, path | {own}) for child in reversed(tree[own].children)]
    raise _BrokenTreeError


def _first_path(start: int, tree: dict[int, _Node], exceptions: Sequence[ExceptionValue]) -> list[int]:
    """Return the exceptions from `start` down to the last, each the first child of the one before."""
    path = [start]
    seen: set[int] = set()
    while True:
        own = _id(exceptions[path[-1]], "exception_id") or 0
        if own in seen:
            raise _BrokenTreeError
        seen.add(own)
        children = tree[own].children
        if not children:
            return path
        path.append(children[0])


def _id(exception: ExceptionValue, key: Literal["exception_id", "parent_id"]) -> int | None:
    return (exception.get("mechanism") or {}).get(key)


def _type(exception: ExceptionValue) -> str:
    kind = exception.get("type")
    return kind if kind is not None else "None"
