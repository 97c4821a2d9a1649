"""Short ids of groups, such as SHOP-1A2B: the project's slug and the group's number, without a counter anywhere.

The number is written in Crockford's base 32, which has no I, L, O and U. It can be read back, so no table of short ids is needed.
"""

from __future__ import annotations

from typing import NamedTuple

_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUES = {digit: number for number, digit in enumerate(_DIGITS)} | {"I": 1, "L": 1, "O": 0}
"""Letters that people write for a digit are read as that digit."""
_MOST_DIGITS = 13


class ShortId(NamedTuple):
    """A short id's parts: the slug in upper case."""

    slug: str
    group_id: int


def encode_short_id(slug: str, group_id: int) -> str:
    """Return the short id of a group.

    >>> encode_short_id("shop", 2**64 - 1)
    'SHOP-FZZZZZZZZZZZZ'
    """
    digits = ""
    while group_id or not digits:
        group_id, digit = divmod(group_id, 32)
        digits = _DIGITS[digit] + digits
    return f"{slug.upper()}-{digits}"


def parse_short_id(text: str) -> ShortId | None:
    """Return the parts of a short id; None if the text is not a short id."""
    slug, hyphen, digits = text.upper().rpartition("-")
    if not hyphen or not slug or not 0 < len(digits) <= _MOST_DIGITS or not all(digit in _VALUES for digit in digits):
        return None
    group_id = 0
    for digit in digits:
        group_id = group_id * 32 + _VALUES[digit]
    return ShortId(slug, group_id) if group_id < 2**64 else None
