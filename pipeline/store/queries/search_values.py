"""The words of a search and their values: quotes, escapes, lists, wildcards, numbers, times. search.py says what they mean."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from pipeline.store.queries.filters import Relation, TextPattern

MAX_VALUES = 200
SHOWN_CHARS = 80
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_NUMBER = re.compile(r"(\d+(?:\.\d+)?)([kmb]?)", re.IGNORECASE)
_FACTORS = {"": 1, "k": 1e3, "m": 1e6, "b": 1e9}
_RELATIVE = re.compile(r"([+-])(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class SearchError(Exception):
    """A search that cannot be understood. `word` is the part of it that is wrong."""

    def __init__(self, word: str, problem: str) -> None:
        super().__init__(word, problem)
        self.word = word if len(word) <= SHOWN_CHARS else word[: SHOWN_CHARS - 3] + "..."
        self.problem = problem

    def __str__(self) -> str:
        """Print as `word: what is wrong with it`."""
        return f"{self.word!r}: {self.problem}"


class Value(NamedTuple):
    """A value as typed, without its quotes. A quoted one is never a comparison or a list."""

    raw: str
    is_quoted: bool

    @property
    def text(self) -> str:
        """The value without its escapes."""
        return "".join(character for character, _ in _unescaped(self.raw))

    @property
    def wild(self) -> str | TextPattern:
        """The value as a text, or as a pattern if it has stars that are not escaped."""
        pieces = [""]
        for character, is_escaped in _unescaped(self.raw):
            if character == "*" and not is_escaped:
                pieces.append("")
            else:
                pieces[-1] += character
        return TextPattern(tuple(pieces)) if len(pieces) > 1 else pieces[0]


def cut_words(text: str) -> Iterator[str]:
    """Yield the words: cut at blanks that are in no quotes and in no list."""
    word: list[str] = []
    is_quoted = is_listed = False
    characters = iter(text)
    for character in characters:
        if character == "\\":
            word += (character, next(characters, ""))
            continue
        if character == '"':
            is_quoted = not is_quoted
        elif not is_quoted:
            if character == "[" and "".join(word[-1:]) == ":":
                is_listed = True
            elif character == "]":
                is_listed = False
            elif character.isspace() and not is_listed:
                if word:
                    yield "".join(word)
                    word = []
                continue
        word.append(character)
    if is_quoted:
        raise SearchError("".join(word), "a quote is not closed")
    if is_listed:
        raise SearchError("".join(word), "a list is not closed: ] is missing")
    if word:
        yield "".join(word)


def parse_values(word: str, raw: str) -> Iterator[Value]:
    """Yield one value, or those of a list in brackets."""
    if not (raw.startswith("[") and raw.endswith("]")):
        yield unquoted(raw)
        return
    inner = raw[1:-1]
    parts = re.findall(r'\s*("(?:[^"\\]|\\.)*"|[^,]*?)\s*(?:,|$)', inner)
    if inner.strip() and parts and parts[-1] == "":
        parts.pop()  # findall sees the end of the text once more
    if not parts or any(part == "" for part in parts):
        raise SearchError(word, "a list needs values between its commas")
    if len(parts) > MAX_VALUES:
        raise SearchError(word, f"a list has {MAX_VALUES} values at most")
    for part in parts:
        yield unquoted(part)


def unquoted(raw: str) -> Value:
    """Return a value without the quotes around it."""
    if len(raw) >= 2 and raw[0] == raw[-1] == '"':
        return Value(raw[1:-1], is_quoted=True)
    return Value(raw, is_quoted=False)


def _unescaped(raw: str) -> Iterator[tuple[str, bool]]:
    """Yield each character and whether it was escaped. A backslash before anything but these three is itself."""
    characters = iter(raw)
    for character in characters:
        if character != "\\":
            yield character, False
            continue
        following = next(characters, "")
        if following in {"\\", '"', "*"}:
            yield following, True
        else:
            yield character, False
            if following:
                yield following, False


def comparison_of(value: Value) -> tuple[Relation, str]:
    """Return the sign that a value begins with, and the rest. No sign means that it must be equal."""
    for sign in (Relation.AT_LEAST, Relation.AT_MOST, Relation.MORE, Relation.LESS):
        if not value.is_quoted and value.text.startswith(sign.value):
            return sign, value.text.removeprefix(sign.value).strip('"')
    return Relation.EQUAL, value.text


def parse_number(word: str, text: str) -> float:
    """Return a number such as `100` or `2.5k`. Raises SearchError."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise SearchError(word, "a number is expected, such as 100 or >1k")
    return float(match[1]) * _FACTORS[match[2].lower()]


def parse_times(word: str, comparison: Relation, text: str, is_negated: bool, now: datetime) -> list[tuple[Relation, datetime]]:
    """Return the bounds that a time means, one or two. Raises SearchError; also for two that are negated together."""
    found = list(_times(word, comparison, text, now))
    if is_negated and len(found) > 1:
        raise SearchError(word, "a time that is negated needs < or >")
    return found


def _times(word: str, comparison: Relation, text: str, now: datetime) -> Iterator[tuple[Relation, datetime]]:
    """Yield the bounds that a time means. A day without a sign means the whole of it, `-24h` since then, `+24h` before then."""
    relative = _RELATIVE.fullmatch(text)
    try:
        if relative is not None:
            span = timedelta(**{_UNITS[relative[3]]: int(relative[2])})
            if comparison is Relation.EQUAL:
                comparison = Relation.AT_LEAST if relative[1] == "-" else Relation.AT_MOST
            yield comparison, max(now - span, _FIRST)
            return
        at = datetime.fromisoformat(text)
        at = min(max(at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC), _FIRST), _LAST)
        if comparison is not Relation.EQUAL:
            yield comparison, at
            return
        yield Relation.AT_LEAST, at
        yield Relation.LESS, at + (timedelta(days=1) if len(text) <= 10 else timedelta(seconds=1))
    except (ValueError, OverflowError):
        raise SearchError(word, "a time is expected, such as -24h, 2026-01-31 or 2026-01-31T10:00:00") from None


def parse_flag(word: str, text: str) -> bool:
    """Return what `true` or `false` means. Raises SearchError."""
    if text.lower() in {"true", "1", "yes"}:
        return True
    if text.lower() in {"false", "0", "no"}:
        return False
    raise SearchError(word, "true or false is expected")


def parse_id(word: str, text: str) -> str:
    """Return an id as 32 digits in lower case. Raises SearchError."""
    if not text:
        return ""
    try:
        return UUID(text).hex
    except ValueError:
        raise SearchError(word, "an id of 32 hexadecimal digits is expected") from None
