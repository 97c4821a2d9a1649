from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from pipeline.stages.normalize.bags import Trimming, bag, nested_bag
from pipeline.stages.normalize.report import Report

PATH = (None, "extra")
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**60), 2**60), st.text(max_size=12)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4), inner, max_size=4)),
    max_leaves=20,
)


def test_what_fits_is_left_alone() -> None:
    value = {"a": [1, {"b": "c"}], "d": None}
    assert bag(1_000, 5)(value, PATH, Report()) is value


@given(st.dictionaries(st.text(max_size=4), VALUES, max_size=5), st.integers(1, 200), st.integers(2, 6))
def test_the_quick_look_and_the_cut_agree(value: dict[str, Any], size: int, depth: int) -> None:
    cut = Trimming(size, Report()).children(value, PATH, depth)
    parsed = bag(size, depth)(value, PATH, Report())
    assert parsed == cut


@given(st.dictionaries(st.text(max_size=4), VALUES, max_size=5), st.integers(1, 100))
def test_the_same_bytes_whatever_the_order_of_sending(value: dict[str, Any], size: int) -> None:
    backwards = dict(reversed(value.items()))
    first, second = (bag(size, 5)(one, PATH, Report()) for one in (value, backwards))
    assert orjson.dumps(first, option=orjson.OPT_SORT_KEYS) == orjson.dumps(second, option=orjson.OPT_SORT_KEYS)


def test_what_lies_too_deep_becomes_text() -> None:
    assert bag(1_000, 3)({"a": {"b": {"c": 1}}}, PATH, Report()) == {"a": {"b": '{"c":1}'}}


def test_numbers_that_storage_cannot_hold_are_repaired_and_named() -> None:
    report = Report()
    value = {"big": 2**80, "huge": 10**400, "nan": float("nan"), "inf": [float("-inf")], "fine": 2**64 - 1}
    result = bag(10_000, 5)(value, PATH, report)
    assert result == {"big": float(2**80), "huge": 0, "nan": 0, "inf": [0], "fine": 2**64 - 1}
    assert [error["name"] for error in report.errors] == ["extra.big", "extra.huge"]


def test_bags_in_a_bag_share_its_size() -> None:
    report = Report()
    result = nested_bag(100, 60, 5)({"a": "x" * 80, "b": "y" * 80, "c": "z"}, PATH, report)
    assert result is not None
    assert {key: len(text) for key, text in result.items()} == {"a": 60, "b": 37}
    assert report.meta["extra"][""] == {"len": 3}
    assert report.meta["extra"]["b"][""] == {"rem": [["!limit", "s", 34, 37]], "len": 80}
