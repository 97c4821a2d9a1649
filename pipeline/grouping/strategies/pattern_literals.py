"""The longest text that every match of a pattern contains. Looking for it first saves trying the pattern on most texts."""

from __future__ import annotations

import re

_OPENING, _CLOSING = "({", ")}"
_CLASS = re.compile(r"\[\^?\]?(?:[^\]\\]|\\.)*\]", re.DOTALL)
_ESCAPED_LITERALS = frozenset(r".^$*+?{}[]()|\/'\"`<>@-_#& ")


def literal_in(pattern: str) -> str:
    r"""Return the longest piece of plain text at the top level of a pattern. It is empty if the pattern has alternatives there.

    >>> literal_in(r"(?P<name>\w+) is not (?:a|the) function\.")
    ' function.'
    """
    pieces = [""]
    depth = 0
    at = 0
    while at < len(pattern):
        char = pattern[at]
        if char == "\\":
            literal = pattern[at + 1] if pattern[at + 1] in _ESCAPED_LITERALS else None
            at += 2
        else:
            at += 1
            if char == "[":
                at = _CLASS.match(pattern, at - 1).end()  # type: ignore[union-attr] # patterns are compiled before
            elif char in _OPENING:
                depth += 1
            elif char in _CLOSING:
                depth -= 1
            elif char == "|" and depth == 0:
                return ""
            literal = char if char not in "(){}[.^$*+?|" else None
            if char in "*?{" and depth == (1 if char == "{" else 0):
                pieces[-1] = pieces[-1][:-1]  # what comes before may be missing
        if literal is None:
            pieces.append("")
        elif depth == 0:
            pieces[-1] += literal
    return max(pieces, key=len)
