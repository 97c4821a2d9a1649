"""A fingerprint rule: matchers that must all hold, and the fingerprint that the event then has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple


class EventMatcher(NamedTuple):
    """One `[!]key:pattern`. `key` is the short name (`type`, `tags.region`), whichever alias the file uses."""

    key: str
    pattern: str
    negated: bool = False

    def __str__(self) -> str:
        """Print as rule files have it."""
        return f'{"!" if self.negated else ""}{self.key}:"{escape(self.pattern)}"'


@dataclass(frozen=True, slots=True)
class FingerprintRule:
    """One line of a rule file. `values` is the fingerprint as written: texts and `{{ variables }}`; empty means the default.

    `file` and `line` (from 1) say where it stands; `title` is the event's title, a text with variables in it.
    """

    matchers: tuple[EventMatcher, ...]
    values: tuple[str, ...]
    title: str | None
    file: str
    line: int
    is_builtin: bool = False

    def __str__(self) -> str:
        """Print the rule so that it parses to itself."""
        parts = [f'"{escape(value)}"' for value in self.values]
        if self.title is not None:
            parts.append(f'title="{escape(self.title)}"')
        return f"{' '.join(str(matcher) for matcher in self.matchers)} -> {', '.join(parts)}"

    def to_json(self) -> dict[str, Any]:
        """Give the rule as Sentry's events name it."""
        body: dict[str, Any] = {
            "matchers": [[f"{'!' if matcher.negated else ''}{matcher.key}", matcher.pattern] for matcher in self.matchers],
            "fingerprint": list(self.values),
            "attributes": {"title": self.title} if self.title is not None else {},
        }
        return body | {"is_builtin": True} if self.is_builtin else body


def escape(text: str) -> str:
    """Write a text so that it can stand in quotes on one line."""
    for char, written in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r")):
        text = text.replace(char, written)
    return text
