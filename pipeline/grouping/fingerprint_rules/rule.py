"""A fingerprint rule: matchers that must all hold, and the fingerprint that an event then gets.

See docs/spec/fingerprint-rules.md, "Syntax".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple


class EventMatcher(NamedTuple):
    """One matcher, `[!]key:pattern`. `key` is the short name, such as `type` or `tags.region`, if the file uses an alias too."""

    key: str
    pattern: str
    negated: bool = False

    def __str__(self) -> str:
        """Return the text as a rule file has it."""
        return f'{"!" if self.negated else ""}{self.key}:"{escape(self.pattern)}"'


@dataclass(frozen=True, slots=True)
class FingerprintRule:
    """One line of a rule file.

    `values` is the fingerprint as written: texts and `{{ variables }}`. If it is empty, the fingerprint is the default.
    `title` replaces the event's title, and may contain variables. `file` and `line` (from 1) say where the rule is written.
    """

    matchers: tuple[EventMatcher, ...]
    values: tuple[str, ...]
    title: str | None
    file: str
    line: int
    is_builtin: bool = False

    def __str__(self) -> str:
        """Return the text as a rule file has it. Parsing it returns an equal rule."""
        parts = [f'"{escape(value)}"' for value in self.values]
        if self.title is not None:
            parts.append(f'title="{escape(self.title)}"')
        return f"{' '.join(str(matcher) for matcher in self.matchers)} -> {', '.join(parts)}"

    def to_json(self) -> dict[str, Any]:
        """Return the rule in the form that Sentry's events have in `_fingerprint_info`."""
        body: dict[str, Any] = {
            "matchers": [[f"{'!' if matcher.negated else ''}{matcher.key}", matcher.pattern] for matcher in self.matchers],
            "fingerprint": list(self.values),
            "attributes": {"title": self.title} if self.title is not None else {},
        }
        return body | {"is_builtin": True} if self.is_builtin else body


def escape(text: str) -> str:
    """Escape a text for use in quotes on one line."""
    for char, written in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r")):
        text = text.replace(char, written)
    return text
