"""Parser of `fingerprints.rules`: `matcher... [or matcher...] -> value[, value...] [title="..."]`, one rule a line.

A line with `or` is as many rules as it has alternatives. A line that begins with `#` is a comment.
See docs/spec/fingerprint-rules.md, "Syntax".
"""

from __future__ import annotations

import codecs
import re

from pipeline.globs.check import too_costly
from pipeline.grouping.fingerprint_rules.event_paths import PREFIX
from pipeline.grouping.fingerprint_rules.rule import EventMatcher, FingerprintRule
from pipeline.model.errors import RuleError
from pipeline.model.rule_file import RuleFile

ALIASES = {
    "error.type": "type",
    "error.value": "value",
    "stack.module": "module",
    "stack.abs_path": "path",
    "stack.package": "package",
    "stack.function": "function",
}
KEYS = frozenset(
    {
        *("type", "value", "module", "path", "package", "function", "app"),
        *("message", "logger", "level", "release", "family", "sdk"),
    }
)
"""The keys of matchers, besides `tags.<name>` and `event.<path>`."""

_LINE_END = re.compile(r"\r\n|\r|\n")
_BLANKS = re.compile(r"[ \t]*")
_KEY = re.compile(r"(?P<key>[a-zA-Z0-9_.-]+)|\"(?P<quoted>[a-zA-Z0-9_.:-]+)\"")
_QUOTED = re.compile(r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"')
_OR = re.compile(r"or(?=[ \t])")
_WORD = re.compile(r"\S+")
_VARIABLE = re.compile(r"\{\{\s*\S+\s*\}\}")
_PLAIN_VALUE = re.compile(r"[^\s{,]+")
_ATTRIBUTE = re.compile(r"([a-zA-Z0-9_.-]+)=(?=\")")
_ESCAPE = re.compile(r"""\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U00[01][0-9a-fA-F]{5}|[0-7]{1,3}|[\\'"abfnrtv])""")


class _UnexpectedError(Exception):
    """A line is not a rule. `column` counts from 0; `message` says what was expected there."""

    def __init__(self, column: int, message: str) -> None:
        self.column = column
        self.message = message
        super().__init__(message)


def parse_fingerprint_rules(file: RuleFile, *, is_builtin: bool = False) -> tuple[list[FingerprintRule], list[RuleError]]:
    """Return the rules of a file, and an error for each line that is not a rule."""
    rules: list[FingerprintRule] = []
    errors: list[RuleError] = []
    for number, text in enumerate(_LINE_END.split(file.text.removeprefix("\ufeff")), start=1):
        if not text.strip() or text.lstrip().startswith("#"):
            continue
        try:
            alternatives, values, title = _Line(text).rule()
        except _UnexpectedError as error:
            errors.append(RuleError(file.path, number, error.column + 1, error.message, text))
        else:
            rules += [FingerprintRule(matchers, values, title, file.path, number, is_builtin) for matchers in alternatives]
    return rules, errors


class _Line:
    """Reads one line from left to right. `at` counts the characters that are read."""

    def __init__(self, text: str) -> None:
        self.text = text.rstrip()
        self.at = 0

    def rule(self) -> tuple[list[tuple[EventMatcher, ...]], tuple[str, ...], str | None]:
        """Return the matchers of each alternative, the fingerprint and the title of the line. Raises _UnexpectedError."""
        alternatives: list[list[EventMatcher]] = [[]]
        while not self._take("->"):
            if alternatives[-1] and self._match(_OR):
                alternatives.append([])
            else:
                alternatives[-1].append(self._matcher())
        if not alternatives[-1]:
            raise _UnexpectedError(self.at - 2, 'expected a matcher before "->", such as type:ValueError')
        values: list[str] = []
        title = None
        first = True
        while first or not self._at_end():
            first = False
            attribute = self._match(_ATTRIBUTE)
            if attribute is None:
                values.append(self._value())
            elif attribute[1] == "title":
                title = self._quoted()
            else:
                raise _UnexpectedError(attribute.start(), f"unknown attribute {attribute[1]!r}, the only one is title")
            self._take(",")
        return [tuple(matchers) for matchers in alternatives], tuple(values), title

    def _matcher(self) -> EventMatcher:
        if self._at_end():
            raise _UnexpectedError(self.at, 'expected "->" and a fingerprint')
        negated = self._take("!")
        start = self.at
        found = self._match(_KEY)
        if found is None:
            raise _UnexpectedError(start, 'expected a matcher such as type:ValueError, or "->"')
        written = found["key"] or found["quoted"]
        key = ALIASES.get(written, written)
        if key not in KEYS and not any(key.startswith(prefix) and key != prefix for prefix in ("tags.", PREFIX)):
            known = ", ".join(sorted(KEYS))
            raise _UnexpectedError(
                found.start(), f"unknown matcher {written!r}, expected one of {known}, tags.<name>, event.<path>"
            )
        if self.text[self.at : self.at + 1] != ":":
            raise _UnexpectedError(self.at, f'expected ":" and a pattern after {written!r}')
        self.at += 1
        return EventMatcher(key, self._pattern(), negated)

    def _pattern(self) -> str:
        start = self.at
        if self.text.startswith('"', start):
            pattern = self._quoted()
        else:
            word = _WORD.match(self.text, start)
            if word is None:
                raise _UnexpectedError(start, 'expected a pattern after ":"; one with blanks goes in quotes')
            self.at = word.end()
            pattern = word[0]
        refusal = too_costly(pattern)
        if refusal is not None:
            raise _UnexpectedError(start, refusal)
        return pattern

    def _value(self) -> str:
        if self._at_end():
            raise _UnexpectedError(self.at, 'expected a fingerprint after "->", such as {{ default }}')
        if self.text.startswith('"', self.at):
            return self._quoted()
        found = self._match(_VARIABLE) or self._match(_PLAIN_VALUE)
        if found is None:
            expected = "expected {{ variable }}" if self.text[self.at] == "{" else "expected a value"
            raise _UnexpectedError(self.at, f"{expected}; a value with blanks, commas or braces goes in quotes")
        return found[0]

    def _quoted(self) -> str:
        found = _QUOTED.match(self.text, self.at)
        if found is None:
            raise _UnexpectedError(self.at, 'expected a closing quote (") on the same line')
        start, self.at = self.at, found.end()
        try:
            return unescape(found[1])
        except UnicodeError:
            raise _UnexpectedError(start, "expected a character, not half of a surrogate pair") from None

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        self._skip_blanks()
        found = pattern.match(self.text, self.at)
        if found is not None:
            self.at = found.end()
        return found

    def _take(self, sign: str) -> bool:
        self._skip_blanks()
        if not self.text.startswith(sign, self.at):
            return False
        self.at += len(sign)
        return True

    def _at_end(self) -> bool:
        self._skip_blanks()
        return self.at >= len(self.text)

    def _skip_blanks(self) -> None:
        blanks = _BLANKS.match(self.text, self.at)
        if blanks is not None:
            self.at = blanks.end()


def unescape(text: str) -> str:
    """Return a text with its backslash escapes replaced. Unknown escapes stay, since globs have their own.

    Two escapes that are a surrogate pair, as JSON writes an emoji, become one character. Raises UnicodeError for half a pair.
    """
    if "\\" not in text:
        return text
    return _ESCAPE.sub(_decode_escape, text).encode("utf-16", "surrogatepass").decode("utf-16")


def _decode_escape(match: re.Match[str]) -> str:
    try:
        return codecs.decode(match[0], "unicode_escape")
    except UnicodeDecodeError:
        return match[0]
