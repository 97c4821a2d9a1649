"""Finds the last comment of a kind in a JavaScript file, such as `//# sourceMappingURL=`.

A text in a string or template that looks like one must not be found. (The code of bundlers holds such texts.) Usually the comment
is at the end of the file, and nothing else is read. Otherwise the code is scanned from its beginning for strings, templates,
comments and regular expressions. Whether a `/` begins a regular expression is sometimes guessed, for instance after `)`.
"""

from __future__ import annotations

import re

_MAX_CANDIDATES = 1_000
_MAX_STEPS = 1_000_000
"""Limit of strings, comments and braces in templates that are scanned, in about a second. Beyond it, only the value decides."""
_ONLY_COMMENTS = re.compile(rb"(?:\s|//[^\n\"'`]*(?:\n|\Z)|/\*[^\"'`*]*\*/)*+\Z")
_QUOTE = re.compile(rb"[\"'`]")
_OUTSIDE = re.compile(rb"[\"'`/]")
_IN_PLACEHOLDER = re.compile(rb"[\"'`/{}]")
_DOUBLE_QUOTED = re.compile(rb"\"(?:[^\"\\\r\n]|\\.)*+\"?", re.DOTALL)
_SINGLE_QUOTED = re.compile(rb"'(?:[^'\\\r\n]|\\.)*+'?", re.DOTALL)
# Not possessive: before Python 3.11.5, `*+` loses characters where a branch looks ahead. It never fails, so it never goes back.
_TEMPLATE_TEXT = re.compile(rb"(?:[^`\\$]+|\\.|\$(?!\{))*", re.DOTALL)
_REGULAR_EXPRESSION = re.compile(rb"/(?:[^/\\\[\r\n]|\\.|\[(?:[^\]\\\r\n]|\\.)*+\])++/")
_BEFORE_DIVISION = re.compile(rb"[\w$)\]}\"'`]")
_KEYWORD = re.compile(rb"(?:^|[^\w$.])(?:return|typeof|case|in|of|do|else|delete|void|throw|new|instanceof|yield|await)\s*\Z")


def find_last_comment(code: bytes, key: bytes, openers: bytes) -> str | None:
    r"""Return the first word of the last comment that begins with `//`, one of `openers`, a blank and `key`; None without one.

    >>> find_last_comment(b"a()\n//# x=1\nb('//# x=2')", b"x=", b"#@")
    '1'
    """
    if key not in code:
        return None
    begins = [match.start() for match in re.finditer(rb"//[%b] %b" % (re.escape(openers), re.escape(key)), code)]
    if not begins:
        return None
    skip = len(b"//# ") + len(key)
    value, end = _value(code, begins[-1] + skip)
    if not _QUOTE.search(value) and _ONLY_COMMENTS.match(code, end):
        return _text(value)
    in_comments = _in_comments(code, begins[-_MAX_CANDIDATES:])
    for begin in reversed(begins):
        value, _ = _value(code, begin + skip)
        if begin in in_comments if in_comments is not None else not _QUOTE.search(value):
            return _text(value)
    return None


def _value(code: bytes, begin: int) -> tuple[bytes, int]:
    """Return the first word from an offset to the end of its line, and the offset at which it ends."""
    line_end = code.find(b"\n", begin)
    line = code[begin : line_end if line_end >= 0 else len(code)]
    words = line.split(maxsplit=1)
    return (words[0], begin + line.index(words[0]) + len(words[0])) if words else (b"", begin)


def _text(value: bytes) -> str | None:
    return value.decode("utf-8", "replace") or None


def _in_comments(code: bytes, offsets: list[int]) -> set[int] | None:
    """Return those of the ascending `offsets` that are in comments. None if the file exceeds the limit of the scan."""
    found: set[int] = set()
    waiting = iter(offsets)
    wanted: int | None = next(waiting)
    depths: list[int] = []  # of braces, for each placeholder `${}` around
    at = 0
    for _ in range(_MAX_STEPS):
        match = (_IN_PLACEHOLDER if depths else _OUTSIDE).search(code, at)
        if match is None:
            return found
        begin, char = match.start(), match.group()
        is_comment = code.startswith((b"//", b"/*"), begin)
        at = _end_of_token(code, begin, char, depths)
        while wanted is not None and wanted < at:
            if is_comment and wanted >= begin:
                found.add(wanted)
            wanted = next(waiting, None)
        if wanted is None:
            return found
    return None


def _end_of_token(code: bytes, begin: int, char: bytes, depths: list[int]) -> int:
    """Return the offset after a string, comment, regular expression, or text of a template. Updates `depths`."""
    if char in {b'"', b"'"}:
        token = (_DOUBLE_QUOTED if char == b'"' else _SINGLE_QUOTED).match(code, begin)
        return token.end() if token is not None else begin + 1
    if char == b"`":
        return _end_of_template_text(code, begin + 1, depths)
    if char == b"{":
        depths[-1] += 1
        return begin + 1
    if char == b"}":
        depths[-1] -= 1
        if depths[-1] >= 0:
            return begin + 1
        depths.pop()
        return _end_of_template_text(code, begin + 1, depths)
    if code.startswith(b"//", begin):
        line_end = code.find(b"\n", begin)
        return line_end if line_end >= 0 else len(code)
    if code.startswith(b"/*", begin):
        closing = code.find(b"*/", begin + 2)
        return closing + 2 if closing >= 0 else len(code)
    before = code[max(begin - 32, 0) : begin].rstrip()
    is_division = _BEFORE_DIVISION.match(before[-1:]) is not None and _KEYWORD.search(before) is None
    expression = None if is_division else _REGULAR_EXPRESSION.match(code, begin)
    return expression.end() if expression is not None else begin + 1


def _end_of_template_text(code: bytes, begin: int, depths: list[int]) -> int:
    """Return the offset after the text of a template: after the template's end, or after the beginning of a placeholder."""
    text = _TEMPLATE_TEXT.match(code, begin)
    end = text.end() if text is not None else begin
    if code.startswith(b"${", end):
        depths.append(0)
        return end + 2
    return min(end + 1, len(code))
