"""Check of a rule's pattern: whether it is too costly to be used, or written so that nothing can match it."""

from __future__ import annotations

from pipeline.globs.parser import RULE, RULE_PATH, GlobError, parse_glob

MAX_PATTERN_CHARS = 1_024
MAX_STARS = 64
"""Patterns beyond these are refused. Within them the worst one takes about a millisecond on the longest value; with 2,000 stars
it takes seconds."""


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
