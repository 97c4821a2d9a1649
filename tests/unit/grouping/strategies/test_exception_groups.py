from __future__ import annotations

from typing import Any

import pytest
from support.grouping import make_grouper

from pipeline.grouping.strategies.exception_groups import has_ids, representatives
from pipeline.model.event import ExceptionValue, Mechanism


def _exception(id_: int, parent: int | None = None, *, group: bool = False, type_: str = "E") -> ExceptionValue:
    mechanism: Mechanism = {"exception_id": id_}
    if parent is not None:
        mechanism["parent_id"] = parent
    if group:
        mechanism["is_exception_group"] = True
    return {"type": type_, "mechanism": mechanism}


def _chosen(exceptions: list[ExceptionValue], identities: str | None = None) -> tuple[list[int], int | None]:
    letters = identities or "abcdefghij"
    return representatives(exceptions, lambda one: letters[next(n for n, other in enumerate(exceptions) if other is one)])


def test_a_group_of_equal_members_comes_down_to_one_and_its_chain() -> None:
    exceptions = [_exception(3, 2), _exception(2, 0), _exception(1, 0), _exception(0, group=True)]

    assert _chosen(exceptions, "cmmr") == ([2], 1)
    assert _chosen(exceptions[:2] + exceptions[3:], "cmr") == ([1, 0], 2)


def test_distinct_members_stand_with_their_group_by_type_descending() -> None:
    exceptions = [_exception(2, 0, type_="A"), _exception(1, 0, type_="B"), _exception(0, group=True, type_="G")]

    assert _chosen(exceptions) == ([1, 0, 2], None)


def test_only_neighbours_are_compared() -> None:
    exceptions = [_exception(3, 0), _exception(2, 0), _exception(1, 0), _exception(0, group=True)]

    assert _chosen(exceptions, "aba-") == ([2, 1, 0, 3], None)


def test_nested_groups_are_opened() -> None:
    exceptions = [_exception(3, 1), _exception(2, 1), _exception(1, 0, group=True), _exception(0, group=True)]

    assert _chosen(exceptions, "mmxr") == ([1], 2)


def test_a_plain_chain_is_the_first_path() -> None:
    assert _chosen([_exception(0), _exception(1, 0), _exception(2, 1)]) == ([0, 1, 2], 0)
    assert _chosen([_exception(2, 0), _exception(1, 0), _exception(0)]) == ([2, 1], 0)  # siblings are dropped


def test_a_group_without_members_stands_for_itself() -> None:
    assert _chosen([_exception(0, group=True), _exception(5, 4)]) == ([0], None)


@pytest.mark.parametrize(
    "exceptions",
    [
        [_exception(1), _exception(2, 1)],  # no root
        [_exception(1, 0), _exception(2, 0)],  # the root is only a parent
        [_exception(0, 1, group=True), _exception(1, 0, group=True)],
        [_exception(0, 0, group=True), _exception(1, 0)],
        [_exception(0, 1), _exception(1, 0)],
        [_exception(1, 0), _exception(0, 0)],
    ],
)
def test_a_broken_tree_keeps_them_all(exceptions: list[ExceptionValue]) -> None:
    assert _chosen(exceptions) == ([0, 1], None)


def test_a_cycle_that_nobody_reaches_does_no_harm() -> None:
    exceptions = [_exception(0, group=True), _exception(1, 0), _exception(2, 3), _exception(3, 2)]

    assert _chosen(exceptions) == ([1], 1)


def test_ids_used_twice_are_both_members_and_the_walk_is_bounded() -> None:
    assert _chosen([_exception(1, 0), _exception(1, 0), _exception(0, group=True)]) == ([1, 0, 2], None)
    many = [_exception(number // 2, number // 2 - 1 if number > 1 else None, group=True) for number in range(100)]
    assert _chosen(many, "x" * 100) == (list(range(100)), None)


def test_one_exception_without_an_id_leaves_the_chain_as_it_is() -> None:
    assert has_ids([_exception(0), _exception(1)])
    assert not has_ids([_exception(0), {"type": "E"}])
    assert not has_ids([_exception(0), {"type": "E", "mechanism": None}])


@pytest.mark.parametrize(
    ("values", "distinct"),
    [(("x gone", "xx gone"), 2), (("1 gone", "2 gone"), 1), (("<int> gone", "1 gone"), 2)],
)
def test_members_are_equal_when_their_whole_trees_are(values: tuple[str, str], distinct: int) -> None:
    members = [_exception(number, 0) | {"value": value} for number, value in enumerate(values, 1)]
    event: Any = {"platform": "python", "exception": {"values": [*members, _exception(0, group=True)]}}

    component = make_grouper().explain(event).variants["app"].component

    assert component is not None
    (tree,) = component.values
    assert (tree.id, len(tree.values)) == (("chained-exception", 3) if distinct == 2 else ("exception", 3))
    assert event.get("main_exception_id") == (2 if distinct == 1 else None)


def test_values_that_do_not_contribute_tell_members_apart() -> None:
    stack = {"frames": [{"function": "f", "in_app": True}]}
    members = [_exception(number, 0) | {"value": value, "stacktrace": stack} for number, value in ((1, "x gone"), (2, "xx gone"))]
    event: Any = {"platform": "python", "exception": {"values": [*members, _exception(0, group=True)]}}

    make_grouper().group(event)

    assert "main_exception_id" not in event
