"""Anchors: what a frame must hold for a glob to match at all, so that most rules need not be tried.

`**/vendor/library/**` matches only paths that have the part `library`; `std::*` only functions that have the part `std`. Where a
pattern gives no whole part, a piece of text between its wildcards must occur; where not even that, there is no anchor.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from pipeline.grouping.stacktrace_rules.rule import FrameMatcher, MatcherKey

SEPARATORS: dict[MatcherKey, tuple[bytes, bytes]] = {
    "path": (b"/", b"/"),
    "package": (b"/", b"/"),
    "module": (b".", b"/"),
    "function": (b":", b"."),
}
"""The fields that rules look up, and the two signs at which their values fall into parts."""

_WILDCARD = re.compile(rb"[*?]+")
_CLASS_OR_CHOICE = re.compile(rb"[\[{}\\]")


class Anchor(NamedTuple):
    """A part or a piece of text that a field must hold."""

    key: MatcherKey
    text: bytes
    is_part: bool


def parts_of(key: MatcherKey, values: Iterable[bytes]) -> set[bytes]:
    """Cut values at their separators."""
    first, second = SEPARATORS[key]
    return set(first.join(values).replace(second, first).split(first))


def anchors_of(matcher: FrameMatcher) -> list[Anchor]:
    """Give what a matcher insists on: whole parts where there are any, else the longest piece of text. Empty: nothing."""
    if matcher.negated or matcher.key not in SEPARATORS:
        return []
    pattern = matcher.pattern.encode("utf-8", "replace")
    is_path = matcher.key in {"path", "package"}
    if is_path:
        if not pattern.isascii():  # the library has its own idea of other letters' lower case
            return []
        pattern = pattern.replace(b"\\", b"/").lower()
    plain = _CLASS_OR_CHOICE.split(pattern, maxsplit=1)
    pieces = _WILDCARD.split(plain[0])
    first, second = SEPARATORS[matcher.key]
    parts: list[bytes] = []
    texts: list[bytes] = []
    for number, piece in enumerate(pieces):
        texts.append(piece.strip(b"/"))  # a slash beside `**` may be missing
        cut = piece.replace(second, first).split(first)
        starts_whole = number == 0
        ends_whole = number == len(pieces) - 1 and len(plain) == 1
        parts += cut[0 if starts_whole else 1 : len(cut) if ends_whole else -1]
    parts = [part for part in parts if part]
    if parts:
        return [Anchor(matcher.key, part, is_part=True) for part in parts]
    longest = max(texts, key=len)
    return [Anchor(matcher.key, longest, is_part=False)] if longest else []
