"""Checks of a rule's pattern: whether it is too costly, cannot match anything, or is probably not what its author meant."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipeline.globs.parser import RULE, RULE_PATH, CharacterClass, Choice, Dialect, GlobError, Token, parse_glob

MAX_PATTERN_CHARS = 1_024
MAX_STARS = 64
"""Patterns with more stars are refused. The worst pattern within the limit takes about a millisecond on the longest value. One
with 2,000 stars takes seconds."""


def too_costly(pattern: str) -> str | None:
    """Return why a pattern is refused, or None if it is accepted."""
    if len(pattern) > MAX_PATTERN_CHARS:
        return f"expected a pattern of at most {MAX_PATTERN_CHARS:,} characters, not {len(pattern):,}"
    stars = pattern.count("*")
    if stars > MAX_STARS:
        return f"expected a pattern with at most {MAX_STARS} stars, not {stars:,}"
    return None


def never_matches(pattern: str, *, is_path: bool = False) -> str | None:
    """Return why a rule's pattern matches nothing, or None if it may match something. In paths a backslash is a slash."""
    try:
        parse_glob(pattern, RULE_PATH if is_path else RULE)
    except GlobError as error:
        return error.advice
    return None


def seems_meant_as_text(pattern: str, *, is_path: bool = False) -> str | None:
    """Return why brackets or braces of a valid pattern were probably meant as text, or None.

    Brackets are a set of characters: `[Errno 111]` matches one character. A set that reads as a word, has a character twice or
    begins a range at its end is taken for text; sets such as `[0-9]`, `[Ee]`, `[jt]`, `[abc]` are not. Braces hold alternatives:
    `{slug}` with a single one is the same as `slug`.
    """
    dialect = Dialect(in_rules=True, is_path=is_path)  # case is kept, for the message
    try:
        tokens = parse_glob(pattern, dialect)
    except GlobError:
        return None
    for token in tokens:
        if not isinstance(token, Choice) or len(token.options) != 1:
            continue
        if not token.options[0] or any(isinstance(part, str) for part in token.options[0]):
            return "braces hold alternatives, and these hold one; for the braces themselves write `\\{` and `\\}`"
    for members in _sets(tokens):
        if _reads_as_text(members):
            advice = f"for the text write `\\[{members}\\]`, in quotes"
            return f"`[{members}]` is a set that matches one of its characters; {advice}"
    for segment in re.findall(r"(?:^|/)\[(\w\w+)\](?=/|\.|$)", pattern) if "/" in pattern else ():
        return f"`[{segment}]` is a set that matches one of its characters; for the text write `\\[{segment}\\]`, in quotes"
    return None


def _sets(tokens: tuple[Token, ...]) -> Iterator[str]:
    for token in tokens:
        parts = [part for option in token.options for part in option] if isinstance(token, Choice) else [token]
        for part in parts:
            if isinstance(part, CharacterClass) and not part.negated:
                yield "".join(low for low, _ in part.ranges)


_RANGE = re.compile(r"(.)-(.)", re.DOTALL)


def _reads_as_text(members: str) -> bool:
    """Whether the members of a set are a word or a phrase rather than single characters and ranges."""
    if any(low > high for low, high in _RANGE.findall(members)):
        return True
    single = _RANGE.sub("", members)
    if len(set(single)) < len(single) or re.search(r"\w \w", single):
        return True
    words = re.findall(r"[^\W\d_]{3,}", single)
    return any(list(word.lower()) != sorted(word.lower()) for word in words)
