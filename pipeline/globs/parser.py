r"""Parser of globs: one syntax, `* ? [abc] [!a-z] {a,b}` with `\` as escape, in the dialects of its users.

The dialects differ in these cases only:

| pattern | filters (as in Sentry Relay) | rules (as in ophio, which uses globset) |
|---|---|---|
| empty | matches nothing | matches the empty text |
| `?` | one character | one byte of UTF-8 |
| `[]a]` | an empty class, then an unbalanced `]` | the class of `]` and `a` |
| `[^a]` | the class of `^` and `a` | everything but `a` |
| `[\a]` | the class of `a` | the class of a backslash and `a` |
| `[[a]` | error | the class of `[` and `a` |
| `a]` | error | the text `a]` |
| `a{b` | the text `a`; the rest is ignored | error |
| `a}` | error | no error; the engine decides what it matches |

In paths (`path` and `package` of rules) case does not matter, a backslash is a slash, `*` stops at a slash and `**` does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a pattern is read and compared. `in_rules` chooses between the two columns of the table above."""

    in_rules: bool
    ignore_case: bool = False
    is_path: bool = False


FILTER = Dialect(in_rules=False, ignore_case=True)
FILTER_EXACT = Dialect(in_rules=False)
RULE = Dialect(in_rules=True)
RULE_IGNORING_CASE = Dialect(in_rules=True, ignore_case=True)
RULE_PATH = Dialect(in_rules=True, ignore_case=True, is_path=True)


class GlobError(ValueError):
    """A pattern does not parse. The message says why, and `advice` says it in a sentence for the author of a rule."""

    def __init__(self, reason: str, advice: str) -> None:
        super().__init__(reason)
        self.advice = advice


class Wildcard(Enum):
    """A part of a pattern that matches any text. `**` is two stars."""

    STAR = "*"
    ANY = "?"


@dataclass(frozen=True, slots=True)
class CharacterClass:
    """Characters in brackets, as inclusive ranges. A negated class matches the characters that no range holds."""

    ranges: tuple[tuple[str, str], ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """Alternatives in braces. Choices do not nest. One without options stands for a `}` that nothing opened, in rules."""

    options: tuple[tuple[str | Wildcard | CharacterClass, ...], ...]


Token = str | Wildcard | CharacterClass | Choice
"""One part of a pattern. A text is one character."""

SimpleToken = str | Wildcard | CharacterClass

_WILDCARDS = {wildcard.value: wildcard for wildcard in Wildcard}


def parse_glob(pattern: str, dialect: Dialect) -> tuple[Token, ...]:
    """Return the parts of a pattern, in lower case where the dialect ignores case. Raises GlobError.

    >>> parse_glob("a*{b,c}", FILTER)
    ('a', <Wildcard.STAR: '*'>, Choice(options=(('b',), ('c',))))
    """
    if dialect.is_path:
        pattern = pattern.replace("\\", "/")
    return _Parser(pattern.lower() if dialect.ignore_case else pattern, in_rules=dialect.in_rules).parse()


class _Parser:
    def __init__(self, pattern: str, *, in_rules: bool) -> None:
        self.pattern = pattern
        self.in_rules = in_rules
        self.index = 0

    def parse(self) -> tuple[Token, ...]:
        done: list[Token] = []
        options: list[tuple[SimpleToken, ...]] | None = None
        option: list[SimpleToken] = []
        while self.index < len(self.pattern):
            character = self._next()
            if character == "{":
                if options is not None:
                    raise GlobError(
                        "Nested alternates",
                        "alternatives inside of alternatives are not known; for the character itself write `\\{`",
                    )
                options, option = [], []
            elif character == "}" and options is None:
                if not self.in_rules:
                    raise GlobError("Unbalanced alternates", "`}` ends alternatives that no `{` begins")
                done.append(Choice(()))
            elif character == "}" and options is not None:
                done.append(Choice((*options, tuple(option))))
                options = None
            elif character == "," and options is not None:
                options.append(tuple(option))
                option = []
            elif options is not None:
                option.append(self._token(character))
            else:
                done.append(self._token(character))
        if options is not None and self.in_rules:
            raise GlobError(
                "Unbalanced alternates", "`{` begins alternatives and is never closed; for the character itself write `\\{`"
            )
        return tuple(done)

    def _next(self) -> str:
        self.index += 1
        return self.pattern[self.index - 1]

    def _token(self, character: str) -> SimpleToken:
        if character == "\\":
            return self._escaped()
        if character == "[":
            return self._rule_class() if self.in_rules else self._filter_class()
        if character == "]" and not self.in_rules:
            raise _unbalanced_class()
        return _WILDCARDS.get(character, character)

    def _escaped(self) -> str:
        if self.index == len(self.pattern):
            raise GlobError("Dangling escape", "a backslash at the end escapes nothing")
        return self._next()

    def _rule_class(self) -> CharacterClass:
        """Read a class up to its end. Ranges are not checked: the engine that matches rules reads its classes itself."""
        negated = self.pattern.startswith(("!", "^"), self.index)
        start = self.index + negated
        end = self.pattern.find("]", start + 1)  # a bracket right after the opening one is a member
        if end < 0:
            raise _unbalanced_class()
        self.index = end + 1
        return CharacterClass(tuple((member, member) for member in self.pattern[start:end]), negated)

    def _filter_class(self) -> CharacterClass:
        ranges: list[tuple[str, str]] = []
        negated = self.pattern.startswith("!", self.index)
        self.index += negated
        while True:
            low = self._member()
            if low is None:
                return CharacterClass(tuple(ranges), negated)
            high = low
            if self.pattern.startswith("-", self.index) and not self.pattern.startswith("-]", self.index):
                self.index += 1
                high = self._member() or low
                if high < low:
                    raise GlobError(f"Invalid character range `{low}-{high}`", f"the range `{low}-{high}` is the wrong way round")
            ranges.append((low, high))

    def _member(self) -> str | None:
        """Return one member of a class, or None at its end."""
        if self.index == len(self.pattern):
            raise _unbalanced_class()
        character = self._next()
        if character == "]":
            return None
        if character == "[":
            raise GlobError("Invalid character class", "`[` inside of a class; for the character itself write `\\[`")
        return self._escaped() if character == "\\" else character


def _unbalanced_class() -> GlobError:
    return GlobError(
        "Unbalanced character class",
        "`[` begins a set of characters and is never closed; for the character itself write `\\[`",
    )
