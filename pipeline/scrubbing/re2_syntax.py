r"""RE2 syntax: a pattern that is written for `re`, translated for a plain text or for one with marked word boundaries.

RE2 knows `\d`, `\w`, `\s` and `\b` for ASCII only. So the classes are written out. Word boundaries are marked in the text: `MARK`
is inserted `MARKS` times at each boundary, `\b` becomes one mark, and everything that matches a character allows marks before it.
"""

from __future__ import annotations

import re
from functools import cache

MARK, NOT_A_MARK = "\x02", "\x03"
"""The character that marks word boundaries, and the one that replaces it where a text itself holds it."""

MARKS = 3
"""How many marks each boundary gets. This is also how many `\b` may follow each other."""

_SAME_BOUNDARY = re.compile(r"(?:\\b(?![*+?{]))+")
"""Boundaries that follow a boundary. They add nothing."""
_ANY_MARKS = f"{MARK}{{0,{MARKS}}}"

_QUANTIFIER = re.compile(r"\{(\d*)(,?)(\d*)\}")
_GROUP = re.compile(r"\(\?(?:P?<(?P<name>[A-Za-z_]\w*)>|(?P<flags>[a-zA-Z]*(?:-[a-zA-Z]+)?)(?P<end>[:)]))", re.ASCII)
_POSIX_CLASS = re.compile(r"\[:\^?[a-z]+:\]")
_UNICODE_CLASS = re.compile(r"[pP](?:[A-Z]|\{\^?\w+\})", re.ASCII)
_CODE_POINT = re.compile(r"x([0-9a-fA-F]{2})|x\{([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})")
_OCTAL = re.compile(r"0[0-7]{0,2}|[0-3][0-7]{2}")

_CLASSES = {"d": r"\p{Nd}", "w": r"\p{L}\p{N}_", "s": r"\x{9}-\x{d}\x{1c}-\x{20}\x{85}\p{Z}"}
"""The members of Python's classes, in RE2's syntax."""

_CONTROLS = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_REFUSED_GROUPS = {
    "?=": "look-ahead", "?!": "look-ahead", "?<=": "look-behind", "?<!": "look-behind", "?>": "an atomic group",
    "?P=": "a back-reference", "?(": "a conditional group", "?#": "a comment",
}  # fmt: skip


class LinearRegexError(ValueError):
    """A pattern cannot be used. The message says why."""


class Translator:
    """Translates one pattern. `has_boundary` and `literals` are known after `run`."""

    def __init__(self, pattern: str, *, in_marked: bool = False, drops_boundaries: bool = False) -> None:
        self.pattern = pattern
        self.in_marked = in_marked
        self.drops_boundaries = drops_boundaries
        self.index = 0
        self.has_boundary = False
        self.literals = [""]
        """Texts that every match contains, in lower case: the characters that stand beside each other outside of groups."""
        self.has_choice = False
        self.dot_matches_all = [False]
        """Whether the flag s is on, for each group that is open."""

    def run(self) -> str:
        """Return the translated pattern. Raises LinearRegexError."""
        result: list[str] = []
        while self.index < len(self.pattern):
            start = self.index
            result.append(self._next())
            self._note_literal(self.pattern[start : self.index])
        return "".join(result)

    def _note_literal(self, part: str) -> None:
        """Extend the literals by a part of the pattern, if it is a character outside of groups."""
        is_outside = len(self.dot_matches_all) == 1
        if part == "|" and is_outside:
            self.has_choice = True
        if self.has_choice:
            self.literals = [""]
        elif part[0] in "*?" or re.match(r"\{0*[,}]", part):
            self.literals[-1] = self.literals[-1][:-1]
            self.literals.append("")
        elif is_outside and len(part) == 1 and part.isascii() and part not in ".^$|()+sS":  # (?i)s is also a long s
            self.literals[-1] += part.lower()
        else:
            self.literals.append("")

    def _fail(self, reason: str) -> LinearRegexError:
        return LinearRegexError(f"`{self.pattern}`: {reason}")

    def _take(self, expression: re.Pattern[str]) -> re.Match[str] | None:
        match = expression.match(self.pattern, self.index)
        if match is not None:
            self.index = match.end()
        return match

    def _character(self) -> str:
        if self.index == len(self.pattern):
            raise self._fail("the pattern ends too early")
        self.index += 1
        return self.pattern[self.index - 1]

    def _next(self) -> str:
        """Translate the next part of the pattern outside of character classes."""
        if self.pattern[self.index] == "(":
            return self._group()
        if self.pattern[self.index] == "{":
            return self._braces()
        character = self._character()
        if character == "\\":
            return self._escape()
        if character == "[":
            return self._atom(self._class())
        if character == ".":
            return "." if not self.in_marked else self._atom(self._negated("" if self.dot_matches_all[-1] else r"\x{a}"))
        if character == "$":
            return self._atom(r"(?:$|\x{a}\z)")
        if character == ")" and len(self.dot_matches_all) > 1:
            self.dot_matches_all.pop()
        return character if character in ")^|*+?" else self._atom(_literal(character))

    def _atom(self, text: str) -> str:
        """Return a translation of an atom that also matches after marks."""
        return f"(?:{_ANY_MARKS}{text})" if self.in_marked else text

    def _negated(self, members: str) -> str:
        """Return the class of all characters but the members. A mark is never a member."""
        return f"[^{members}{MARK}]" if self.in_marked else f"[^{members}]"

    def _group(self) -> str:
        match = self._take(_GROUP)
        if match is None:
            for prefix, name in _REFUSED_GROUPS.items():
                if self.pattern.startswith(prefix, self.index + 1):
                    raise self._fail(f"{name}, `({prefix}`, cannot be matched in linear time or is not supported")
            if self.pattern.startswith("?", self.index + 1):
                raise self._fail(f"unknown group `{self.pattern[self.index : self.index + 4]}`")
            self.index += 1
            self.dot_matches_all.append(self.dot_matches_all[-1])
            return "("
        if match["name"]:
            self.dot_matches_all.append(self.dot_matches_all[-1])
            return f"(?P<{match['name']}>"
        on, _, off = match["flags"].replace("u", "").partition("-")
        unknown = set(on + off) - set("imsU")
        if unknown:
            raise self._fail(f"the flag `{min(unknown)}` is not supported, only i, m, s and U")
        dot_matches_all = ("s" in on or self.dot_matches_all[-1]) and "s" not in off
        if match["end"] == ":":
            self.dot_matches_all.append(dot_matches_all)
        else:
            self.dot_matches_all[-1] = dot_matches_all
            if not on and not off:
                return "(?:)"
        return f"(?{on}{'-' if off else ''}{off}{match['end']}"

    def _braces(self) -> str:
        match = self._take(_QUANTIFIER)
        if match is None or not (match[1] or match[2]):
            self.index = match.start() if match else self.index
            return self._atom(_literal(self._character()))
        return f"{{{match[1] or 0}{match[2]}{match[3]}}}"

    def _escape(self) -> str:
        """Translate what follows a backslash outside of character classes."""
        letter = self.pattern[self.index : self.index + 1]
        if letter.lower() in _CLASSES and letter:
            self.index += 1
            members = _CLASSES[letter.lower()]
            return self._atom(f"[{members}]" if letter.islower() else self._negated(members))
        if letter in {"b", "B"} and letter:
            self.index += 1
            if letter == "b":
                self._take(_SAME_BOUNDARY)
            self.has_boundary = True
            if self.drops_boundaries:
                return "(?:)"
            if self.in_marked:
                # Marks cannot express that there is no boundary. `\B` matches everywhere, so that nothing is overlooked.
                return MARK if letter == "b" else "(?:)"
            return f"\\{letter}"
        if letter in {"A", "Z", "z"} and letter:
            self.index += 1
            return r"\A" if letter == "A" else self._atom(r"\z")
        match = self._take(_UNICODE_CLASS)
        if match is not None:
            return self._atom(self._negated(rf"\p{match[0][1:]}") if letter == "P" else rf"\{match[0]}")
        return self._atom(_literal(self._escaped_character()))

    def _escaped_character(self) -> str:
        """Return the character that an escape stands for."""
        match = self._take(_CODE_POINT)
        if match is not None:
            code = int(match[match.lastindex or 1], 16)
            if code > 0x10FFFF:
                raise self._fail(f"`\\{match[0]}` is beyond the last character")
            return chr(code)
        match = self._take(_OCTAL)
        if match is not None:
            return chr(int(match[0], 8))
        letter = self._character()
        if letter.isdecimal():
            raise self._fail(f"a back-reference, `\\{letter}`, cannot be matched in linear time")
        if letter in _CONTROLS:
            return _CONTROLS[letter]
        if letter.isascii() and letter.isalpha():
            raise self._fail(f"unknown escape `\\{letter}`")
        return letter

    def _class(self) -> str:
        """Translate a character class whose opening bracket is taken already."""
        negated = self.pattern.startswith("^", self.index)
        self.index += negated
        start = self.index
        members: list[str] = []
        while self.index == start or not self.pattern.startswith("]", self.index):
            members.append(self._member())
        self.index += 1
        return self._negated("".join(members)) if negated else f"[{''.join(members)}]"

    def _member(self) -> str:
        posix = self._take(_POSIX_CLASS)
        if posix is not None:
            return posix[0]
        low = self._class_character()
        if len(low) > 1 or not self.pattern.startswith("-", self.index) or self.pattern.startswith("-]", self.index):
            return low if len(low) > 1 else _code(low)
        self.index += 1
        high = self._class_character()
        if len(high) > 1 or high < low:
            raise self._fail(f"the range that begins with `{low}` is the wrong way round")
        return f"{_code(low)}-{_code(high)}"

    def _class_character(self) -> str:
        """Return one character, or the translation of a class within a class."""
        character = self._character()
        if character != "\\":
            return character
        letter = self.pattern[self.index : self.index + 1]
        if letter.lower() in _CLASSES and letter:
            self.index += 1
            return _CLASSES[letter] if letter.islower() else _complement(letter, without_marks=self.in_marked)
        if letter == "b":
            self.index += 1
            return "\b"
        match = self._take(_UNICODE_CLASS)
        return rf"\{match[0]}" if match is not None else self._escaped_character()


def _literal(character: str) -> str:
    return character if character.isalnum() and character.isascii() else _code(character)


def _code(character: str) -> str:
    return f"\\x{{{ord(character):x}}}"


@cache
def _complement(letter: str, *, without_marks: bool) -> str:
    r"""Return the members of `\D`, `\W` or `\S`. RE2 has no negated class within a class, so all ranges are listed (50 ms)."""
    everything = "".join(map(chr, range(0x110000)))
    if without_marks:
        everything = everything.replace(MARK, "a 1"["WSD".index(letter)])
    spans = (match.span() for match in re.finditer(rf"\{letter}+", everything))
    return "".join(f"\\x{{{start:x}}}-\\x{{{end - 1:x}}}" for start, end in spans)
