from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.api.short_ids import ShortId, encode_short_id, parse_short_id


@given(st.from_regex("[A-Z0-9][A-Z0-9_-]{0,20}", fullmatch=True), st.integers(0, 2**64 - 1))
def test_what_is_printed_is_read_back(slug: str, group_id: int) -> None:
    assert parse_short_id(encode_short_id(slug, group_id)) == ShortId(slug, group_id)


def test_case_and_look_alikes_do_not_matter() -> None:
    assert parse_short_id("my-shop-1o") == ShortId("MY-SHOP", 32)
    assert parse_short_id("SHOP-l0") == ShortId("SHOP", 32)


@pytest.mark.parametrize("text", ["", "-", "SHOP", "-1", "SHOP-", "SHOP-U", "SHOP-1 2", "SHOP-Ä"])
def test_other_texts_are_none(text: str) -> None:
    assert parse_short_id(text) is None


@pytest.mark.parametrize("text", ["SHOP-ZZZZZZZZZZZZZ", "SHOP-00000000000001"])
def test_larger_numbers_than_a_group_has_are_none(text: str) -> None:
    assert parse_short_id(text) is None
