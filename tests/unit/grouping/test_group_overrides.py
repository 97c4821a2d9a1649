"""Merges and splits by hand: the file that holds them, and the events that follow them."""

from __future__ import annotations

import copy
import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.grouping.group_overrides import FILE, GroupOverrides
from pipeline.grouping.grouper import Grouper
from pipeline.model.errors import InvalidRulesError
from pipeline.model.grouping import derive_group_id
from pipeline.model.rule_file import RuleFile

A, B, C, D = (letter * 32 for letter in "abcd")
PROJECT = 7


def load(text: str) -> GroupOverrides:
    return GroupOverrides.load([{FILE: RuleFile("groups.toml", text)}])


def test_a_merge_gives_the_others_the_targets_group() -> None:
    decisions = GroupOverrides().merged(PROJECT, A, [B, C])

    assert decisions.groups == dict.fromkeys((A, B, C), derive_group_id(PROJECT, A))
    assert decisions.group_of([D, B]) == derive_group_id(PROJECT, A)
    assert decisions.group_of([D]) is None


def test_what_had_been_merged_into_another_comes_along() -> None:
    decisions = GroupOverrides().merged(PROJECT, B, [C]).merged(PROJECT, A, [B])

    assert set(decisions.groups.values()) == {derive_group_id(PROJECT, A)}
    assert set(decisions.groups) == {A, B, C}


def test_a_split_gives_a_hash_its_own_group_again() -> None:
    decisions = GroupOverrides().merged(PROJECT, A, [B, C]).split(PROJECT, [B])

    assert decisions.groups[B] == derive_group_id(PROJECT, B)
    assert decisions.groups[A] == decisions.groups[C] == derive_group_id(PROJECT, A)


def test_splitting_off_the_hash_that_named_the_group_leaves_the_group_to_the_others() -> None:
    decisions = GroupOverrides().merged(PROJECT, A, [B]).split(PROJECT, [A])

    assert decisions.groups[B] == derive_group_id(PROJECT, A)
    assert decisions.groups[A] not in {derive_group_id(PROJECT, A), derive_group_id(PROJECT, B)}


hashes = st.sampled_from([A, B, C, D])
steps = st.lists(st.tuples(st.sampled_from(["merge", "split"]), hashes, hashes), max_size=8)


@given(steps)
def test_every_step_done_twice_is_done_once_and_survives_its_file(steps: list[tuple[str, str, str]]) -> None:
    decisions = GroupOverrides()
    for kind, first, second in steps:
        for _ in range(2):
            before = decisions
            decisions = (
                decisions.merged(PROJECT, first, [second], "why") if kind == "merge" else decisions.split(PROJECT, [first])
            )
        assert decisions == before
        if kind == "merge":
            assert decisions.groups[first] == decisions.groups[second]
        else:
            others = {group for hash_, group in decisions.groups.items() if hash_ != first}
            assert decisions.groups[first] not in others
    assert load(decisions.to_toml()) == decisions


def test_a_note_with_anything_in_it_survives() -> None:
    decisions = GroupOverrides().merged(PROJECT, A, [B], 'the "old" one\n\\ \x7f é')

    assert load(decisions.to_toml()) == decisions


def test_events_follow_the_decision() -> None:
    event: Any = {"platform": "other", "logentry": {"formatted": "hello"}}
    undecided = Grouper.load([{}], {}).group(copy.copy(event))
    decisions = GroupOverrides().merged(PROJECT, A, [undecided.primary_hash])

    decided = Grouper.load([{}, {FILE: RuleFile(FILE, decisions.to_toml())}], {}).group(copy.copy(event))

    assert decided.hashes == undecided.hashes
    assert decided.group_id(PROJECT) == derive_group_id(PROJECT, A) != undecided.group_id(PROJECT)


def test_a_decision_outlives_a_change_of_configuration() -> None:
    event: Any = {"platform": "other", "logentry": {"formatted": "hello"}}
    hash_of_before = Grouper.load([{}], {}).group(copy.copy(event)).primary_hash
    text = 'hash = "md5"\nprevious_hash = "xxh3_128"\nprevious_until = 2026-01-31\n'
    layer = {
        "grouping.toml": RuleFile("grouping.toml", text),
        FILE: RuleFile(FILE, GroupOverrides().merged(PROJECT, A, [hash_of_before]).to_toml()),
    }

    for day in ("2026-01-31", "2027-01-01"):
        now = dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC).timestamp()
        changed = Grouper.load([layer], {}).group(copy.copy(event), now)
        assert changed.primary_hash != hash_of_before
        assert changed.group_id(PROJECT) == derive_group_id(PROJECT, A)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (f'[[group]]\nid = 1\nhashes = ["{A}"]\n[[group]]\nid = 2\nhashes = ["{A}"]\n', 6, "already belongs to another group"),
        ('[[group]]\nid = 1\nhashes = ["short"]\n', 3, "Expected `str` matching regex"),
        ("[[group]]\nid = -1\nhashes = []\n", 2, "Expected `int` >= 0"),
        ("[[group]]\nid = 1\n", 1, "missing required field `hashes`"),
        ("[[group]\n", 1, "Expected"),
    ],
)
def test_a_broken_file_is_refused_with_its_place(text: str, line: int, message: str) -> None:
    with pytest.raises(InvalidRulesError) as raised:
        load(text)

    (error,) = raised.value.errors
    assert message in error.message
    assert error.line == line
