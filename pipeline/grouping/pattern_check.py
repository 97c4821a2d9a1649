"""What is wrong with a glob of a rule: too costly to be used, or so written that nothing can match it."""

from __future__ import annotations

MAX_PATTERN_CHARS = 1_024
MAX_STARS = 64
"""Patterns beyond these are refused. Within them the worst one takes about a millisecond on the longest value; with 2,000 stars
it takes seconds."""


def too_costly(pattern: str) -> str | None:
    """Say why a pattern is refused; None where it is not."""
    if len(pattern) > MAX_PATTERN_CHARS:
        return f"expected a pattern of at most {MAX_PATTERN_CHARS:,} characters, not {len(pattern):,}"
    stars = pattern.count("*")
    if stars > MAX_STARS:
        return f"expected a pattern with at most {MAX_STARS} stars, not {stars:,}"
    return None


def never_matches(pattern: str, *, is_path: bool = False) -> str | None:
    """Say why a glob is none, so that it silently matches nothing; None where it may match. In paths a backslash is a slash."""
    if is_path:
        pattern = pattern.replace("\\", "/")
    in_choice = False
    position = 0
    while position < len(pattern):
        char = pattern[position]
        if char == "\\":
            if position + 1 == len(pattern):
                return "a backslash at the end escapes nothing"
            position += 1
        elif char == "[":
            start = position + 1
            start += pattern.startswith(("!", "^"), start)
            position = pattern.find("]", start + 1)  # a bracket right after the opening one is a member
            if position < 0:
                return "`[` begins a set of characters and is never closed; for the character itself write `\\[`"
        elif char == "{":
            if in_choice:
                return "alternatives inside of alternatives are not known; for the character itself write `\\{`"
            in_choice = True
        elif char == "}":
            in_choice = False
        position += 1
    return "`{` begins alternatives and is never closed; for the character itself write `\\{`" if in_choice else None
