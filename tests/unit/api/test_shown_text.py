from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from pipeline.api.shown_text import shown, shown_value

HOSTILE = st.text(st.characters(codec="utf-8")) | st.text(
    st.sampled_from("a\x00\x1b\u202e\u2066\ufeff\u200f\x9b\U000e0041\n\t\\")
)


TURNS = {"RLO", "LRO", "RLE", "LRE", "RLI", "LRI", "FSI", "PDF", "PDI"}


@given(HOSTILE)
def test_nothing_hidden_is_left(text: str) -> None:
    left = {character for character in shown(text) if unicodedata.category(character) == "Cc"}
    assert left <= {"\n", "\t"}
    assert not {unicodedata.bidirectional(character) for character in shown(text)} & TURNS


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_what_can_be_seen_stays(text: str) -> None:
    assert shown(text) == text


def test_names_and_lists_are_shown_too_and_long_texts_are_cut() -> None:
    assert shown_value({"a\x00": ["\x1b", 1, None]}) == {"a\\u0000": ["\\u001b", 1, None]}
    assert shown("x" * 2_000, 10) == "xxxxxxx..."
