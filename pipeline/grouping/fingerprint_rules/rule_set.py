"""The fingerprint rules of a project, in order of precedence. The first rule that matches an event wins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from pipeline.grouping.fingerprint_rules.compiled_rule import CompiledRule
from pipeline.grouping.fingerprint_rules.event_values import EventValues
from pipeline.grouping.fingerprint_rules.parser import parse_fingerprint_rules
from pipeline.grouping.fingerprint_rules.rule import FingerprintRule
from pipeline.grouping.fingerprint_rules.rule_index import RuleIndex, RuleMasks
from pipeline.grouping.fingerprint_rules.variables import expand
from pipeline.model.errors import InvalidRulesError, RuleError
from pipeline.model.event import Event
from pipeline.model.rule_file import RuleFile


@dataclass(frozen=True, slots=True)
class FingerprintMatch:
    """The rule that an event matched. `values` is the fingerprint as the rule writes it; `title` has its variables filled in."""

    rule: FingerprintRule
    values: list[str]
    title: str | None

    @property
    def is_builtin(self) -> bool:
        """Whether the rule was shipped with the release, not written by the operator."""
        return self.rule.is_builtin


class FingerprintRules:
    """Parsed rules. An earlier rule wins."""

    def __init__(self, rules: Sequence[FingerprintRule], masks: RuleMasks) -> None:
        self.rules = tuple(rules)
        self._compiled = [CompiledRule(rule.matchers) for rule in self.rules]
        self._index = RuleIndex(self._compiled, masks)

    @classmethod
    def load(cls, files: Sequence[RuleFile], builtin: RuleFile | None = None, masks: RuleMasks | None = None) -> Self:
        """Parse files in the order in which they win, the project's before the default's. Built-in rules come last.

        Rules of several projects share `masks`, so that all together stay within its bound. Without it they have their own.

        Raises InvalidRulesError with every broken line of every file.
        """
        rules: list[FingerprintRule] = []
        errors: list[RuleError] = []
        for file in files:
            found, wrong = parse_fingerprint_rules(file)
            rules += found
            errors += wrong
        if builtin is not None:
            found, wrong = parse_fingerprint_rules(builtin, is_builtin=True)
            rules += found
            errors += wrong
        if errors:
            raise InvalidRulesError(errors)
        return cls(rules, masks if masks is not None else RuleMasks())

    def match(self, event: Event) -> FingerprintMatch | None:
        """Return the first rule that matches a normalized event. Costs a few µs for each distinct value that rules read."""
        if not self.rules:
            return None
        values = EventValues(event)
        mask = self._index.candidates(values)
        while mask:
            lowest = mask & -mask
            position = lowest.bit_length() - 1
            if self._compiled[position].holds(values):
                rule = self.rules[position]
                title = None if rule.title is None else expand(rule.title, event)
                return FingerprintMatch(rule, list(rule.values), title)
            mask ^= lowest
        return None
