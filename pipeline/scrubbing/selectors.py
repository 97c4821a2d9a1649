"""Selectors: expressions that choose values of an event, in the syntax of Sentry's advanced data scrubbing.

`extra.token`, `$string && !$error.value`, `**.password`, `(a || b) && $frame.**`. A path is compared from its end:
`b` and `a.b` both select the value at `x.a.b`. Keys ignore case, `*` stands for one step and `**` for one or more.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

TYPES = frozenset({
    "string", "number", "boolean", "datetime", "array", "object", "event", "attachments", "replay", "exception", "stacktrace",
    "frame", "request", "user", "logentry", "message", "thread", "breadcrumb", "span", "log", "sdk", "minidump", "heap_memory",
    "stack_memory", "binary",
})  # fmt: skip
_SYNONYMS = {"error": "exception", "http": "request"}
_UNSPECIFIC = frozenset({"string", "number", "boolean", "datetime", "array", "object"})

_STEP = r"(?:\*\*|\*|\$[a-z_]+|\d+(?![\w-])|[A-Za-z_][\w-]*|'(?:[^']|'')+')"
_TOKEN = re.compile(
    rf"\s*(?:(?P<or>\|\|?)|(?P<and>&&?)|(?P<not>[!~])|(?P<open>\()|(?P<close>\))|(?P<path>{_STEP}(?:\.{_STEP})*))", re.ASCII
)
_PATH_PART = re.compile(_STEP, re.ASCII)

MAX_DEPTH = 50
"""How deep parentheses nest. Deeper selectors are refused, because they would overflow the stack."""


class SelectorError(ValueError):
    """A selector does not parse. The message says why."""


class Pii(IntEnum):
    """Whether a field may hold personal data. Only selectors that name a `MAYBE` field select it."""

    NEVER = 0
    MAYBE = 1
    LIKELY = 2


PathPart = tuple[str, str | int]
"""One part of a selector's path: `("type" | "index" | "key" | "any" | "deep", value)`. Keys are in lower case."""


class Step(Protocol):
    """One value on the way from the event's root to the value in question."""

    @property
    def key(self) -> str | None:
        """The key as sent, None for the item of a list."""

    @property
    def index(self) -> int | None:
        """The index in a list, from 0, None for everything else."""

    @property
    def types(self) -> frozenset[str]:
        """The types of the value, a subset of `TYPES`."""


class Selector(Protocol):
    """A parsed selector."""

    @property
    def rank(self) -> tuple[object, ...]:
        """Sort key of the selector. Rules of selectors with a lower rank run first."""

    @property
    def path_parts(self) -> tuple[PathPart, ...]:
        """The parts of all paths in the selector."""

    def matches(self, steps: Sequence[Step], pii: Pii) -> bool:
        """Whether the value at the end of `steps` (outermost first) is selected."""


@dataclass(frozen=True, slots=True)
class SelectorPath:
    """A dotted path."""

    parts: tuple[PathPart, ...]

    @property
    def rank(self) -> tuple[object, ...]:
        """Sort key of the selector. Rules of selectors with a lower rank run first."""
        kinds = ("type", "index", "key", "any", "deep")
        return (3, *((kinds.index(kind), str(value)) for kind, value in self.parts))

    @property
    def path_parts(self) -> tuple[PathPart, ...]:
        """The parts of the path."""
        return self.parts

    def is_specific(self) -> bool:
        """Whether the path names a field, and not merely a kind of value or a value at any depth."""
        if any(kind == "deep" for kind, _ in self.parts):
            return False
        return any(kind in {"index", "key"} or (kind == "type" and value not in _UNSPECIFIC) for kind, value in self.parts)

    def matches(self, steps: Sequence[Step], pii: Pii) -> bool:
        """Whether the value at the end of `steps` is selected."""
        if pii is Pii.NEVER or (pii is Pii.MAYBE and not self.is_specific()):
            return False
        return _tail_matches(self.parts, len(self.parts), steps, len(steps))


def _tail_matches(parts: tuple[PathPart, ...], part: int, steps: Sequence[Step], step: int) -> bool:
    """Compare the first `part` parts with the first `step` steps, backwards.

    A path has at most one `**`, so that to try each of its lengths takes linear time.
    """
    while part:
        kind, value = parts[part - 1]
        if kind == "deep":
            return any(_tail_matches(parts, part - 1, steps, rest) for rest in range(step - 1, -1, -1))
        if not step or not _step_matches(kind, value, steps[step - 1]):
            return False
        part -= 1
        step -= 1
    return True


def _step_matches(kind: str, value: str | int, step: Step) -> bool:
    if kind == "key":
        return step.key is not None and step.key.lower() == value
    if kind == "type":
        return value in step.types
    return kind == "any" or step.index == value


@dataclass(frozen=True, slots=True)
class Both:
    """Selects what all of its parts select (`&&`)."""

    parts: tuple[Selector, ...]

    @property
    def rank(self) -> tuple[object, ...]:
        """Sort key of the selector. Rules of selectors with a lower rank run first."""
        return (0, *(part.rank for part in self.parts))

    @property
    def path_parts(self) -> tuple[PathPart, ...]:
        """The parts of all paths in the selector."""
        return tuple(path_part for part in self.parts for path_part in part.path_parts)

    def matches(self, steps: Sequence[Step], pii: Pii) -> bool:
        """Whether the value at the end of `steps` is selected."""
        return all(part.matches(steps, pii) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Either:
    """Selects what any of its parts selects (`||`)."""

    parts: tuple[Selector, ...]

    @property
    def rank(self) -> tuple[object, ...]:
        """Sort key of the selector. Rules of selectors with a lower rank run first."""
        return (1, *(part.rank for part in self.parts))

    @property
    def path_parts(self) -> tuple[PathPart, ...]:
        """The parts of all paths in the selector."""
        return tuple(path_part for part in self.parts for path_part in part.path_parts)

    def matches(self, steps: Sequence[Step], pii: Pii) -> bool:
        """Whether the value at the end of `steps` is selected."""
        return any(part.matches(steps, pii) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Not:
    """`!part`: selects every value that `part` does not select, except fields that never hold personal data."""

    part: Selector

    @property
    def rank(self) -> tuple[object, ...]:
        """Sort key of the selector. Rules of selectors with a lower rank run first."""
        return (2, self.part.rank)

    @property
    def path_parts(self) -> tuple[PathPart, ...]:
        """The parts of all paths in the selector."""
        return self.part.path_parts

    def matches(self, steps: Sequence[Step], pii: Pii) -> bool:
        """Whether the value at the end of `steps` is selected."""
        return pii is not Pii.NEVER and not self.part.matches(steps, pii)


def parse_selector(text: str) -> Selector:
    """Parse a selector. Raises SelectorError."""
    return _Parser(text).parse()


class _Parser:
    """Reads `or := and ("||" and)*; and := not ("&&" not)*; not := ["!"] (path | "(" or ")")`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.depth = 0
        self.tokens: list[tuple[str, str]] = []
        position = 0
        while text[position:].strip():
            match = _TOKEN.match(text, position)
            if match is None:
                raise self.error()
            self.tokens.append((str(match.lastgroup), match[0].strip()))
            position = match.end()
        self.tokens.reverse()

    def error(self) -> SelectorError:
        return SelectorError(f'invalid syntax near "{self.text}"')

    def take(self, kind: str) -> bool:
        if self.tokens and self.tokens[-1][0] == kind:
            self.tokens.pop()
            return True
        return False

    def parse(self) -> Selector:
        result = self.either()
        if self.tokens:
            raise self.error()
        return result

    def either(self) -> Selector:
        parts = [self.both()]
        while self.take("or"):
            parts.append(self.both())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def both(self) -> Selector:
        parts = [self.negated()]
        while self.take("and"):
            parts.append(self.negated())
        return parts[0] if len(parts) == 1 else Both(tuple(parts))

    def negated(self) -> Selector:
        return Not(self.primary()) if self.take("not") else self.primary()

    def primary(self) -> Selector:
        if self.take("open"):
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise self.error()
            result = self.either()
            if not self.take("close"):
                raise self.error()
            return result
        if not self.tokens or self.tokens[-1][0] != "path":
            raise self.error()
        return _path(self.tokens.pop()[1])


def _path(text: str) -> SelectorPath:
    parts = tuple(_path_part(part) for part in _PATH_PART.findall(text))
    kinds = [kind for kind, _ in parts]
    if kinds.count("deep") > 1:
        raise SelectorError("deep wildcard used more than once")
    if kinds == ["any"]:
        raise SelectorError("wildcard must be part of a path")
    return SelectorPath(parts)


def _path_part(text: str) -> PathPart:
    if text == "**":
        return "deep", text
    if text == "*":
        return "any", text
    if text.startswith("$"):
        name = _SYNONYMS.get(text[1:], text[1:])
        if name not in TYPES:
            raise SelectorError(f"unknown value `{text}`")
        return "type", name
    if text.startswith("'"):
        return "key", text[1:-1].replace("''", "'").lower()
    return ("index", int(text)) if text.isdigit() else ("key", text.lower())
