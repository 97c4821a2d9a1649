"""The literal index finds every text that occurs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.grouping.fingerprint_rules.rule_index import PIECE, LiteralIndex

texts = st.text(alphabet="abc/", max_size=8)


@given(st.lists(texts, max_size=20), st.text(alphabet="abc/", max_size=60))
def test_gives_all_that_occur_and_no_other_long_one(known: list[str], value: str) -> None:
    possible = set(LiteralIndex(known).possible(value))

    assert possible >= {position for position, text in enumerate(known) if text in value}
    assert all(known[position] in value for position in possible if len(known[position]) >= PIECE)


def test_a_text_is_filed_under_its_rarest_piece() -> None:
    index = LiteralIndex([f"common_{number:04}" for number in range(500)])

    assert sorted(index.possible("x/common_0042/y")) == [42]
