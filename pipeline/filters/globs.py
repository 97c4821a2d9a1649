r"""Globs of filters: `* ? [abc] [!a-z] {a,b}` with `\` to escape; `*` crosses newlines and slashes, the whole text must match.

A glob is expanded to alternatives without braces, each cut at its stars into parts of fixed length. The earliest place of each
part is then the best one, so that matching never goes back: its time is bounded by text times pattern, whatever a text holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

MAX_ALTERNATIVES = 1_000
"""Braces multiply: a pattern that comes to more alternatives is refused."""


class GlobError(ValueError):
    """A pattern that does not parse; the text says why."""


@dataclass(frozen=True, slots=True)
class _Class:
    """A character class, as ranges of code points; the negated one matches what no range holds."""

    ranges: tuple[tuple[str, str], ...]
    negated: bool

    def regex(self) -> str:
        inside = "".join(f"{re.escape(low)}-{re.escape(high)}" for low, high in self.ranges)
        return f"[{'^' if self.negated else ''}{inside}]" if inside else "(?!)"


_STAR, _ANY = object(), object()
_Token = object
_Alternative = tuple[_Token, ...]
Matcher = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Glob:
    """One pattern. `matches` takes the text as it is."""

    pattern: str
    ignore_case: bool
    _matchers: tuple[Matcher, ...]

    def matches(self, text: str) -> bool:
        """Say whether the whole text matches; an empty pattern matches nothing."""
        if self.ignore_case:
            text = text.lower()
        return any(matcher(text) for matcher in self._matchers)

    def matches_lower(self, lowered: str) -> bool:
        """Match a text that the caller has lower-cased once for many globs."""
        return any(matcher(lowered) for matcher in self._matchers)


class GlobSet:
    """Many globs that ignore case, asked at once. A pattern that does not parse is left out; its siblings stay."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self.globs: list[Glob] = []
        self.errors: list[tuple[str, GlobError]] = []
        for pattern in patterns:
            try:
                self.globs.append(compile_glob(pattern, ignore_case=True))
            except GlobError as error:
                self.errors.append((pattern, error))

    def __bool__(self) -> bool:
        return bool(self.globs)

    def matches(self, text: str | None) -> bool:
        """Say whether any of the globs matches."""
        if text is None or not self.globs:
            return False
        lowered = text.lower()
        return any(glob.matches_lower(lowered) for glob in self.globs)


def compile_glob(pattern: str, *, ignore_case: bool) -> Glob:
    """Compile a pattern. Raises GlobError."""
    if not pattern:
        return Glob(pattern, ignore_case, ())
    alternatives = _Parser(pattern.lower() if ignore_case else pattern).parse()
    return Glob(pattern, ignore_case, tuple(_matcher(alternative, ignore_case=ignore_case) for alternative in alternatives))


class _Parser:
    """Reads a pattern into its alternatives, each a tuple of stars, wildcards, classes and characters."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.index = 0

    def parse(self) -> list[_Alternative]:
        done: list[_Alternative] = [()]
        options: list[list[_Token]] | None = None
        current: list[_Token] = []
        while self.index < len(self.pattern):
            character = self._next()
            if character == "{":
                if options is not None:
                    raise GlobError("Nested alternates")
                done, current, options = _product(done, [current]), [], []
            elif character == "}":
                if options is None:
                    raise GlobError("Unbalanced alternates")
                options.append(current)
                done, current, options = _product(done, options if any(options) else []), [], None
            elif character == "," and options is not None:
                options.append(current)
                current = []
            else:
                current.append(self._token(character))
        # What follows an opening brace that is never closed counts for nothing.
        return [one for one in done if one] if options is not None else _product(done, [current])

    def _next(self) -> str:
        self.index += 1
        return self.pattern[self.index - 1]

    def _token(self, character: str) -> _Token:
        if character == "\\":
            if self.index == len(self.pattern):
                raise GlobError("Dangling escape")
            return self._next()
        if character == "[":
            return self._class()
        if character == "]":
            raise GlobError("Unbalanced character class")
        return {"*": _STAR, "?": _ANY}.get(character, character)

    def _class(self) -> _Class:
        ranges: list[tuple[str, str]] = []
        negated = self.pattern.startswith("!", self.index)
        self.index += negated
        while True:
            low = self._class_character()
            if low is None:
                return _Class(tuple(ranges), negated)
            high = low
            if self.pattern.startswith("-", self.index) and not self.pattern.startswith("-]", self.index):
                self.index += 1
                high = self._class_character() or low
                if high < low:
                    raise GlobError(f"Invalid character range `{low}-{high}`")
            ranges.append((low, high))

    def _class_character(self) -> str | None:
        """Read one character of a class; None at its end."""
        if self.index == len(self.pattern):
            raise GlobError("Unbalanced character class")
        character = self._next()
        if character == "]":
            return None
        if character == "[":
            raise GlobError("Invalid character class")
        if character == "\\":
            if self.index == len(self.pattern):
                raise GlobError("Dangling escape")
            return self._next()
        return character


def _product(heads: list[_Alternative], tails: list[list[_Token]]) -> list[_Alternative]:
    if len(heads) * len(tails) > MAX_ALTERNATIVES:
        raise GlobError(f"more than {MAX_ALTERNATIVES} alternatives")
    return [(*head, *tail) for head in heads for tail in tails]


def _matcher(alternative: _Alternative, *, ignore_case: bool) -> Matcher:
    parts: list[list[_Token]] = [[]]
    for token in alternative:
        if token is _STAR:
            parts.append([])
        else:
            parts[-1].append(token)
    if all(isinstance(token, str) for part in parts for token in part):
        return _literal_matcher(["".join(map(str, part)) for part in parts])
    return _regex_matcher(parts, ignore_case=ignore_case)


def _literal_matcher(parts: list[str]) -> Matcher:
    """Match parts without wildcards: plain searches, many times faster than a regular expression."""
    if len(parts) == 1:
        return parts[0].__eq__
    first, *middle, last = parts
    middle = [part for part in middle if part]
    shortest = sum(map(len, parts))

    def match(text: str) -> bool:
        if len(text) < shortest or not text.startswith(first) or not text.endswith(last):
            return False
        position, end = len(first), len(text) - len(last)
        for part in middle:
            position = text.find(part, position, end) + len(part)
            if position < len(part):
                return False
        return True

    return match


def _regex_matcher(parts: list[list[_Token]], *, ignore_case: bool) -> Matcher:
    """Match parts with wildcards: each part is found once and never given up (an atomic group)."""
    first, *rest = ["".join(_regex(token) for token in part) for part in parts]
    if not rest:
        text = first
    else:
        *middle, last = rest
        text = first + "".join(f"(?>.*?{part})" for part in middle if part) + f".*{last}"
    compiled = re.compile(text, re.DOTALL | (re.IGNORECASE if ignore_case else 0))
    return lambda value: compiled.fullmatch(value) is not None


def _regex(token: _Token) -> str:
    if token is _ANY:
        return "."
    return token.regex() if isinstance(token, _Class) else re.escape(str(token))
