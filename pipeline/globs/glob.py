"""Glob: a compiled pattern, which matches whole values.

Globs of filters are matched here. A pattern is expanded to alternatives without braces, and each alternative is cut at its
stars into parts of fixed length. The earliest position of each part is then the best one, so that matching never goes
back: its time is bounded by the length of the text times that of the pattern.

Globs of rules are matched by ophio's engine, because groups depend on its exact semantics. Most values never reach it: a
value that does not contain `required_text` cannot match.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from sentry_ophio.glob import is_glob_match

from pipeline.globs.parser import FILTER, CharacterClass, Choice, Dialect, GlobError, SimpleToken, Token, Wildcard, parse_glob

MAX_ALTERNATIVES = 1_000
"""Braces multiply: a pattern of a filter with more alternatives is refused."""

MAX_RULE_VALUE_CHARS = 8_392
"""Rules look at so many characters of a value, from its beginning."""

_Alternative = tuple[SimpleToken, ...]
Match = Callable[[str], bool]


class Glob:
    """A compiled pattern. `matches` takes a value as it is; `fold` and `accepts` split the work when many globs look at one."""

    __slots__ = ("_match", "dialect", "is_literal", "pattern", "required_text")

    def __init__(self, pattern: str, dialect: Dialect, tokens: tuple[Token, ...], match: Match) -> None:
        self.pattern = pattern
        self.dialect = dialect
        self._match = match
        texts = literal_texts(tokens)
        # In paths `**/x` also matches `x`: a slash beside a wildcard may be missing.
        self.required_text = max((text.strip("/") for text in texts), key=len)
        """A text that each matching value contains, after `fold`."""
        if dialect.in_rules and not self.required_text.isascii():  # the engine folds the case of other letters in its own way
            self.required_text = ""
        self.is_literal = bool(self.required_text) and all(isinstance(token, str) for token in tokens)
        """Whether the pattern has no wildcard."""

    def fold(self, value: str) -> str:
        """Return a value without the differences that the dialect ignores, in the form that `accepts` takes."""
        dialect = self.dialect
        if dialect.in_rules:
            value = value[:MAX_RULE_VALUE_CHARS]
            if dialect.is_path:
                value = value.replace("\\", "/")
        return value.lower() if dialect.ignore_case else value

    def accepts(self, folded: str) -> bool:
        """Whether the whole of a folded value matches."""
        return self.required_text in folded and self._match(folded)

    def matches(self, value: str) -> bool:
        """Whether the whole value matches."""
        return self.accepts(self.fold(value))


class GlobSet:
    """The globs of a filter, which ignore case. A pattern that does not parse is left out and listed in `errors`."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self.globs: list[Glob] = []
        self.errors: list[tuple[str, GlobError]] = []
        for pattern in patterns:
            try:
                self.globs.append(compile_glob(pattern, FILTER))
            except GlobError as error:
                self.errors.append((pattern, error))

    def __bool__(self) -> bool:
        return bool(self.globs)

    def matches(self, text: str | None) -> bool:
        """Whether any of the globs matches. No glob matches None."""
        if text is None or not self.globs:
            return False
        lowered = text.lower()
        return any(glob.accepts(lowered) for glob in self.globs)


def compile_glob(pattern: str, dialect: Dialect) -> Glob:
    """Compile a pattern. Raises GlobError.

    >>> compile_glob("*.{js,ts}", FILTER).matches("App.TS")
    True
    """
    tokens = parse_glob(pattern, dialect)
    return Glob(pattern, dialect, tokens, _rule_match(pattern, dialect) if dialect.in_rules else _filter_match(tokens))


def lenient_glob(pattern: str, dialect: Dialect) -> Glob:
    """Compile a pattern; one that does not parse matches nothing. `check.never_matches` finds these."""
    try:
        return compile_glob(pattern, dialect)
    except GlobError:
        return Glob(pattern, dialect, (), lambda _value: False)


def literal_texts(tokens: Iterable[Token]) -> list[str]:
    """Return the texts between the wildcards, classes and choices of a pattern, empty ones included.

    Each text occurs in every value that matches, except for slashes beside `**`, which may be missing.

    >>> literal_texts(parse_glob("src/*[ab]c", FILTER))
    ['src/', '', 'c']
    """
    texts = [""]
    for token in tokens:
        if isinstance(token, str):
            texts[-1] += token
        else:
            texts.append("")
    return texts


def _rule_match(pattern: str, dialect: Dialect) -> Match:
    is_path, ignore_case = dialect.is_path, dialect.ignore_case

    def match(value: str) -> bool:
        value = value if value.isascii() else value.encode("utf-8", "replace").decode()
        return bool(is_glob_match(value, pattern, is_path, ignore_case, is_path, allow_newline=True))

    def match_path(value: str) -> bool:
        """Try a path without a leading slash with one as well, so that `**/x` and `/x` find it."""
        return match(value) or (not value.startswith("/") and match(f"/{value}"))

    return match_path if is_path else match


def _filter_match(tokens: tuple[Token, ...]) -> Match:
    matches = [_alternative_match(alternative) for alternative in _expand(tokens)] if tokens else []
    if len(matches) == 1:
        return matches[0]
    return lambda value: any(match(value) for match in matches)


def _expand(tokens: tuple[Token, ...]) -> list[_Alternative]:
    """Return a pattern's alternatives. A choice whose options are all empty has none."""
    alternatives: list[_Alternative] = [()]
    for token in tokens:
        if isinstance(token, Choice):
            options = token.options if any(token.options) else ()
            if len(alternatives) * len(options) > MAX_ALTERNATIVES:
                raise GlobError(
                    f"more than {MAX_ALTERNATIVES} alternatives",
                    f"the braces multiply to more than {MAX_ALTERNATIVES} alternatives",
                )
            alternatives = [(*head, *option) for head in alternatives for option in options]
        else:
            alternatives = [(*head, token) for head in alternatives]
    return alternatives


def _alternative_match(alternative: _Alternative) -> Match:
    parts: list[list[SimpleToken]] = [[]]
    for token in alternative:
        if token is Wildcard.STAR:
            parts.append([])
        else:
            parts[-1].append(token)
    if all(isinstance(token, str) for part in parts for token in part):
        return _text_match(["".join(map(str, part)) for part in parts])
    return _regex_match(parts)


def _text_match(parts: list[str]) -> Match:
    """Match parts of plain text by searches, which are many times faster than a regular expression."""
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


def _regex_match(parts: list[list[SimpleToken]]) -> Match:
    """Match parts with wildcards. Each part is an atomic group: its first position is final."""
    first, *rest = ["".join(_regex(token) for token in part) for part in parts]
    if not rest:
        text = first
    else:
        *middle, last = rest
        text = first + "".join(f"(?>.*?{part})" for part in middle if part) + f".*{last}"
    compiled = re.compile(text, re.DOTALL)
    return lambda value: compiled.fullmatch(value) is not None


def _regex(token: SimpleToken) -> str:
    if token is Wildcard.ANY:
        return "."
    if isinstance(token, CharacterClass):
        inside = "".join(f"{re.escape(low)}-{re.escape(high)}" for low, high in token.ranges)
        return f"[{'^' if token.negated else ''}{inside}]" if inside else "(?!)"
    return re.escape(str(token))
