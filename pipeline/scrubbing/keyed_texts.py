"""Keyed texts: texts that hold keys with values, such as JSON that does not parse, forms with odd separators, or a Cookie header.

A project's rules are about keys. Where an SDK sends a structure as text, or normalization makes text of what lies too deep, the
rules must hold for the keys in that text. Nothing is parsed here that would have to be printed again: the values are found where
they stand, and only these places change. One pass, linear in the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote_plus

MAX_LEVELS = 200
"""Deeper containers in a text count as part of their ancestor at this level."""

_TOKEN = re.compile(r""""(?:[^"\\]|\\.)*"?|'(?:[^'"\\\n]|\\.)*'|[{}\[\],:]|'|[^\s{}\[\],:"']+""", re.DOTALL)
"""Strings in double quotes, also such as are cut off; strings in single quotes; the signs of JSON; words."""
_COLON = re.compile(r"\s*:")
_PAIR = re.compile(r"(?<![^\s&;?=<>\"'{}\[\],:])([^\s&;?=<>\"'{}\[\],:]+)[ \t]*=[ \t]*(\"[^\"]*\"|'[^']*'|[^&;\s]*)")
_COOKIE = re.compile(r"(?<![^\s=;,])([^\s=;,]+)\s*=\s*(\"[^\"]*\"|[^;]*)")
_PART = re.compile(
    r"""\bname=(?:"([^"\r\n]{0,200}+)"|([^\s;"]{1,200}+))[^\r\n]{0,500}+\r?\n(?:[^\r\n]{1,500}+\r?\n){0,20}+\r?\n"""
)
"""The head of a part of a multipart body. The value follows up to a line that begins with two dashes."""
_PART_END = re.compile(r"\r?\n--|\Z")
_ELEMENT = re.compile(r"<([A-Za-z_][\w.:-]*)(?:\s[^<>]*)?>([^<]+)</")


class KeyedValue(NamedTuple):
    """A value in a text: the keys on the way to it, the outermost first, None for an item of a list; and where it stands.

    `is_container` if it is an object or a list of its own. `end` is exclusive.
    """

    keys: tuple[str | None, ...]
    start: int
    end: int
    is_container: bool = False


def looks_like_json(text: str) -> bool:
    """Whether a text begins as an object or a list, behind blanks and a byte-order mark."""
    return text.lstrip(" \t\r\n\ufeff")[:1] in {"{", "["}


def json_values(text: str) -> Iterator[KeyedValue]:
    """Yield the values of JSON, and of what only resembles it: cut off, with text around it, with single quotes, line by line.

    A container follows the values in it. Bytes before the first object count as an object without a name.
    """
    stack: list[tuple[str, tuple[str | None, ...], int]] = []  # kind, keys and beginning of the containers that are open
    keys: tuple[str | None, ...] = ()
    is_list = False
    pending: str | None = None
    last_end = 0
    for match in _TOKEN.finditer(text):
        part, is_new_line, last_end = match[0], "\n" in text[last_end : match.start()], match.end()
        if part in "{[":
            place = _below(keys, pending, is_list=is_list, is_root=not stack)
            if len(stack) < MAX_LEVELS:
                stack.append(("[" if is_list else "{", keys, match.start()))
                keys, is_list, pending = place, part == "[", None
        elif part in "}]":
            if stack:
                kind, outer, start = stack.pop()
                if keys:
                    yield KeyedValue(keys, start, match.end(), is_container=True)
                keys, is_list, pending = outer, kind == "[", None
        elif part == ",":
            pending = None
        elif part != ":":
            if not is_list and (pending is None or is_new_line) and _COLON.match(text, match.end()):
                pending = _plain(part)
            elif is_list or pending is not None:
                quoted = _quotes(part)
                yield KeyedValue((*keys, None if is_list else pending), match.start() + quoted[0], match.end() - quoted[1])
                if quoted[0]:
                    pending = None
    while stack:
        kind, outer, start = stack.pop()
        if keys:
            yield KeyedValue(keys, start, len(text), is_container=True)
        keys, is_list = outer, kind == "["


def form_values(text: str) -> Iterator[KeyedValue]:
    """Yield the values of `name=value` in a text, of the parts of a multipart body, and of XML elements."""
    if "=" in text:
        for match in _PAIR.finditer(text):
            start, end = match.span(2)
            quoted = 1 if match[2][:1] in {'"', "'"} else 0
            yield KeyedValue((unquote_plus(match[1]),), start + quoted, end - quoted)
        for match in _PART.finditer(text):
            ending = _PART_END.search(text, match.end())
            yield KeyedValue(
                (match[1] if match[1] is not None else match[2],), match.end(), ending.start() if ending else len(text)
            )
    if "</" in text:
        for match in _ELEMENT.finditer(text):
            yield KeyedValue((match[1],), *match.span(2))


def cookie_values(text: str) -> Iterator[KeyedValue]:
    """Yield the values of a Cookie or Set-Cookie header. Parts that are no cookies are passed over."""
    for match in _COOKIE.finditer(text):
        start, end = match.span(2)
        yield KeyedValue((unquote_plus(match[1]),), start, end)


def decoded(text: str) -> str:
    """Return what the text of a JSON string stands for, or the text itself if it cannot be decoded."""
    if "\\" not in text:
        return text
    try:
        value = json.loads(f'"{text}"', strict=False)
    except ValueError:
        return text
    return value if isinstance(value, str) else text


def _below(keys: tuple[str | None, ...], pending: str | None, *, is_list: bool, is_root: bool) -> tuple[str | None, ...]:
    if is_list:
        return (*keys, None)
    if pending is not None:
        return (*keys, pending)
    return keys if is_root else (*keys, None)


def _quotes(token: str) -> tuple[int, int]:
    """Return the length of the quotes before and after a token."""
    if token[0] not in "\"'":
        return 0, 0
    return 1, 1 if len(token) > 1 and token[-1] == token[0] else 0


def _plain(token: str) -> str:
    before, after = _quotes(token)
    return decoded(token[before : len(token) - after])
