"""Exception keys: what a memory of stacks must know of an exception, and no more.

Rules may look at the exception that owns a stack. Its whole value in the key would make every message another stack, so the key
holds the verdicts of the matchers in force: none for most projects.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.grouping.enhancements import ophio
from pipeline.grouping.enhancements.rule import EnhancementRule, FlagAction, Matcher

_FIELDS = (("type", "ty"), ("value", "value"), ("mechanism", "mechanism"))
_PROBE = {
    "category": None,
    "family": b"other",
    "function": b"",
    "in_app": None,
    "orig_in_app": None,
    "module": None,
    "package": None,
    "path": None,
}
MAX_REMEMBERED = 2_000


class ExceptionKeys:
    """The distinct `error.*` matchers of a rule set."""

    def __init__(self, rules: Sequence[EnhancementRule]) -> None:
        self._fields: list[tuple[str, list[ophio.OphioRules], dict[bytes | None, bytes]]] = []
        for key, field in _FIELDS:
            matchers = {
                Matcher(matcher.key, matcher.pattern): None
                for rule in rules
                for matcher in (*rule.matchers, rule.caller, rule.callee)
                if matcher is not None and matcher.key == key
            }
            if matchers:
                probes = [ophio.compile_rule(EnhancementRule((matcher,), (FlagAction("app", True),))) for matcher in matchers]
                self._fields.append((field, probes, {}))

    def verdicts(self, exception: dict[str, bytes | None]) -> bytes:
        """Say of each matcher whether it holds, as a byte each."""
        return b"".join([_remembered(field, probes, memory, exception) for field, probes, memory in self._fields])

    def __bool__(self) -> bool:
        """Say whether any rule looks at exceptions."""
        return bool(self._fields)


def _remembered(
    field: str, probes: list[ophio.OphioRules], memory: dict[bytes | None, bytes], exception: dict[str, bytes | None]
) -> bytes:
    text = exception[field]
    found = memory.get(text)
    if found is None:
        nothing: dict[str, bytes | None] = {"ty": None, "value": None, "mechanism": None}
        found = bytes(ophio.modify(probe, [_PROBE], nothing | {field: text})[0][1] is True for probe in probes)
        if text is None or len(text) <= MAX_KEY_BYTES:
            if len(memory) >= MAX_REMEMBERED:
                memory.clear()
            memory[text] = found
    return found


MAX_KEY_BYTES = 500
