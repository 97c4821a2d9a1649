"""Selectors: which values of an event a rule looks at, in the syntax of Sentry's advanced data scrubbing.

`extra.token`, `$string && !$error.value`, `**.password`, `(a || b) && $frame.**`. A path is compared from its end:
`b` and `a.b` both select the value at `x.a.b`; keys ignore case, `*` stands for one step and `**` for any number.
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
_ITEM = re.compile(_STEP, re.ASCII)

MAX_DEPTH = 50
"""Parentheses inside parentheses; more is no selector that a person wrote."""


class SelectorError(ValueError):
    """A selector that does not parse; the text says where."""


class Pii(IntEnum):
    """Whether a field may hold personal data. `MAYBE` fields are reached only by selectors that name them."""

    NEVER = 0
    MAYBE = 1
    LIKELY = 2


Item = tuple[str, str | int]
"""One item of a path: `("type" | "index" | "key" | "any" | "deep", value)`; keys are in lower case."""


class Step(Protocol):
    """One value on the way from the event's root: its key (None for the item of a list) or index, and its types."""

    @property
    def key(self) -> str | None:
        """The key, as it was sent."""

    @property
    def index(self) -> int | None:
        """The index, counted from 0."""

    @property
    def types(self) -> frozenset[str]:
        """What the value is, in the words of `TYPES`."""


class Selector(Protocol):
    """A parsed selector."""

    @property
    def rank(self) -> tuple[object, ...]:
        """Give the place in the order in which rules apply."""

    @property
    def steps(self) -> tuple[Item, ...]:
        """Give all items of its paths."""

    def matches(self, steps: Sequence[Step], pii: Pii) -> bool:
        """Say whether the value at the end of `steps` (outermost first) is selected."""


@dataclass(frozen=True, slots=True)
class Path:
    """A dotted path."""

    items: tuple[Item, ...]

    @property
    def rank(self) -> tuple[object, ...]:
        """Give the place in the order in which rules apply."""
        kinds = ("type", "index", "key", "any", "deep")
        return (3, *((kinds.index(kind), str(value)) for kind, value in self.items))

    @property
    def steps(self) -> tuple[Item, ...]:
        """Give its items."""
        return self.items

    def is_specific(self) -> bool:
        """Say whether the path names something, rather than a kind of value or anything at any depth."""
        if any(kind == "deep" for kind, _ in self.items):
            return False
        return any(kind in {"index", "key"} or (kind == "type" and value not in _UNSPECIFIC) for kind, value in self.items)

    def matches(self, steps: Sequence[Step], pii: Pii) -> bool:
        """Say whether the value at the end of `steps` is selected."""
        if pii is Pii.NEVER or (pii is Pii.MAYBE and not self.is_specific()):
            return False
        return _tail_matches(self.items, len(self.items), steps, len(steps))


def _tail_matches(items: tuple[Item, ...], item: int, steps: Sequence[Step], step: int) -> bool:
    """Compare backwards. `**` is one step or more. At most one is allowed in a path, so trying each of its lengths is linear."""
    while item:
        kind, value = items[item - 1]
        if kind == "deep":
            return any(_tail_matches(items, item - 1, steps, rest) for rest in range(step - 1, -1, -1))
        if not step or not _step_matches(kind, value, steps[step - 1]):
            return False
        item -= 1
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
    """All of several selectors."""

    parts: tuple[Selector, ...]

    @property
    def rank(self) -> tuple[object, ...]:
        """Give the place in the order in which rules apply."""
        return (0, *(part.rank for part in self.parts))

    @property
    def steps(self) -> tuple[Item, ...]:
        """Give all items of its paths."""
        return tuple(step for part in self.parts for step in part.steps)

    def matches(self, steps: Sequence[Step], pii: Pii) -> bool:
        """Say whether the value at the end of `steps` is selected."""
        return all(part.matches(steps, pii) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Either:
    """Any of several selectors."""

    parts: tuple[Selector, ...]

    @property
    def rank(self) -> tuple[object, ...]:
        """Give the place in the order in which rules apply."""
        return (1, *(part.rank for part in self.parts))

    @property
    def steps(self) -> tuple[Item, ...]:
        """Give all items of its paths."""
        return tuple(step for part in self.parts for step in part.steps)

    def matches(self, steps: Sequence[Step], pii: Pii) -> bool:
        """Say whether the value at the end of `steps` is selected."""
        return any(part.matches(steps, pii) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Not:
    """Everything that may hold personal data but what a selector selects."""

    part: Selector

    @property
    def rank(self) -> tuple[object, ...]:
        """Give the place in the order in which rules apply."""
        return (2, self.part.rank)

    @property
    def steps(self) -> tuple[Item, ...]:
        """Give all items of its path."""
        return self.part.steps

    def matches(self, steps: Sequence[Step], pii: Pii) -> bool:
        """Say whether the value at the end of `steps` is selected."""
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


def _path(text: str) -> Path:
    items = tuple(_item(part) for part in _ITEM.findall(text))
    kinds = [kind for kind, _ in items]
    if kinds.count("deep") > 1:
        raise SelectorError("deep wildcard used more than once")
    if kinds == ["any"]:
        raise SelectorError("wildcard must be part of a path")
    return Path(items)


def _item(text: str) -> tuple[str, str | int]:
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
