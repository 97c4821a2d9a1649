from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from pipeline.stages.normalize.remarks import Remarks
from pipeline.stages.normalize.size_limits import Trimming, nested_sized_objects, sized_object

PATH = (None, "extra")
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**60), 2**60), st.text(max_size=12)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4), inner, max_size=4)),
    max_leaves=20,
)


def test_what_fits_is_left_alone() -> None:
    value = {"a": [1, {"b": "c"}], "d": None}
    assert sized_object(1_000, 5)(value, PATH, Remarks()) is value


@given(st.dictionaries(st.text(max_size=4), VALUES, max_size=5), st.integers(1, 200), st.integers(2, 6))
def test_the_quick_look_and_the_cut_agree(value: dict[str, Any], size: int, depth: int) -> None:
    cut = Trimming(size, Remarks()).children(value, PATH, depth)
    parsed = sized_object(size, depth)(value, PATH, Remarks())
    assert parsed == cut


@given(st.dictionaries(st.text(max_size=4), VALUES, max_size=5), st.integers(1, 100))
def test_the_same_bytes_whatever_the_order_of_sending(value: dict[str, Any], size: int) -> None:
    backwards = dict(reversed(value.items()))
    first, second = (sized_object(size, 5)(one, PATH, Remarks()) for one in (value, backwards))
    assert orjson.dumps(first, option=orjson.OPT_SORT_KEYS) == orjson.dumps(second, option=orjson.OPT_SORT_KEYS)


def test_what_lies_too_deep_becomes_text() -> None:
    assert sized_object(1_000, 3)({"a": {"b": {"c": 1}}}, PATH, Remarks()) == {"a": {"b": '{"c":1}'}}


def test_numbers_that_storage_cannot_hold_are_repaired_and_named() -> None:
    remarks = Remarks()
    value = {"big": 2**80, "huge": 10**400, "nan": float("nan"), "inf": [float("-inf")], "fine": 2**64 - 1}
    result = sized_object(10_000, 5)(value, PATH, remarks)
    assert result == {"big": float(2**80), "huge": 0, "nan": 0, "inf": [0], "fine": 2**64 - 1}
    assert [error["name"] for error in remarks.errors] == ["extra.big", "extra.huge"]


def test_size_limits_in_a_bag_share_its_size() -> None:
    remarks = Remarks()
    result = nested_sized_objects(100, 60, 5)({"a": "x" * 80, "b": "y" * 80, "c": "z"}, PATH, remarks)
    assert result is not None
    assert {key: len(text) for key, text in result.items()} == {"a": 60, "b": 37}
    assert remarks.meta["extra"][""] == {"len": 3}
    assert remarks.meta["extra"]["b"][""] == {"rem": [["!limit", "s", 34, 37]], "len": 80}
