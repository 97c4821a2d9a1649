"""What a change of rules does to groups: a planted example of each kind."""

from __future__ import annotations

from pipeline.rule_tools.group_diff import EXAMPLES, ChangeKind, ExampleEvent, GroupDiff, GroupDiffBuilder, GroupRef


def diff_of(*moves: tuple[int, int, int], project: int = 1) -> GroupDiff:
    """The diff of (old group, new group, events)."""
    diff = GroupDiffBuilder()
    for before, after, events in moves:
        for number in range(events):
            example = ExampleEvent(f"{before}-{after}-{number}", f"in.jsonl:{number}", "title")
            diff.add(GroupRef(project, before, f"h{before}"), GroupRef(project, after, f"h{after}"), example)
    return diff.build()


def kinds(found: GroupDiff) -> list[tuple[ChangeKind, int, int]]:
    return [(change.kind, change.events, change.changed) for change in found.changes]


def test_nothing_changes() -> None:
    found = diff_of((1, 1, 5), (2, 2, 1))

    assert found.changes == ()
    assert (found.events, found.changed, found.groups_before, found.groups_after) == (6, 0, 2, 2)


def test_groups_merge() -> None:
    assert kinds(diff_of((1, 1, 5), (2, 1, 3))) == [(ChangeKind.MERGE, 8, 3)]
    assert kinds(diff_of((1, 9, 5), (2, 9, 3))) == [(ChangeKind.MERGE, 8, 8)]


def test_a_group_splits() -> None:
    found = diff_of((1, 1, 5), (1, 2, 3))

    assert kinds(found) == [(ChangeKind.SPLIT, 8, 3)]
    assert [flow.events for flow in found.changes[0].flows] == [5, 3]


def test_a_group_moves() -> None:
    assert kinds(diff_of((1, 2, 4))) == [(ChangeKind.MOVE, 4, 4)]


def test_groups_are_cut_otherwise() -> None:
    assert kinds(diff_of((1, 1, 5), (1, 2, 3), (2, 2, 1))) == [(ChangeKind.REGROUP, 9, 3)]


def test_changes_are_told_apart_and_the_largest_comes_first() -> None:
    found = diff_of((1, 2, 1), (5, 5, 9), (6, 7, 2), (6, 8, 2), (9, 9, 30))

    assert kinds(found) == [
        (ChangeKind.SPLIT, 4, 4),
        (ChangeKind.MOVE, 1, 1),
    ]


def test_the_same_numbers_in_two_projects_are_two_groups() -> None:
    diff = GroupDiffBuilder()
    example = ExampleEvent("e", "in:1", "t")
    diff.add(GroupRef(1, 1, "a"), GroupRef(1, 3, "c"), example)
    diff.add(GroupRef(2, 2, "b"), GroupRef(2, 3, "c"), example)

    assert [change.kind for change in diff.build().changes] == [ChangeKind.MOVE, ChangeKind.MOVE]


def test_examples_are_few_and_counts_are_whole() -> None:
    (change,) = diff_of((1, 2, 50)).changes
    body = change.to_json()

    assert len(change.flows[0].examples) == EXAMPLES
    assert body["flows"][0]["events"] == 50
    assert body["before"] == [{"group_id": 1, "hash": "h1", "events": 50}]
    assert body["flows"][0]["examples"][0] == {"event_id": "1-2-0", "origin": "in.jsonl:0", "title": "title"}
