"""Fingerprint rules in force: files in order of precedence, and the first rule that matches an event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from pipeline.grouping.fingerprint_rules.compiled_rule import CompiledRule
from pipeline.grouping.fingerprint_rules.event_values import EventValues
from pipeline.grouping.fingerprint_rules.parser import parse_fingerprint_rules
from pipeline.grouping.fingerprint_rules.rule import FingerprintRule
from pipeline.grouping.fingerprint_rules.rule_index import RuleIndex
from pipeline.grouping.fingerprint_rules.variables import expand
from pipeline.model.errors import InvalidRulesError, RuleError
from pipeline.model.rule_file import RuleFile


@dataclass(frozen=True, slots=True)
class FingerprintMatch:
    """The rule that an event matched. `values` is its fingerprint as written; `title` has its variables filled in."""

    rule: FingerprintRule
    values: list[str]
    title: str | None

    @property
    def is_builtin(self) -> bool:
        """Say whether the rule came with the release and not from the operator."""
        return self.rule.is_builtin


class FingerprintRules:
    """Parsed rules, the ones that win first."""

    def __init__(self, rules: Sequence[FingerprintRule]) -> None:
        self.rules = tuple(rules)
        self._conditions = [CompiledRule(rule.matchers) for rule in self.rules]
        self._index = RuleIndex(self._conditions)

    @classmethod
    def load(cls, files: Sequence[RuleFile], builtin: RuleFile | None = None) -> Self:
        """Parse files given in the order in which they win (the project's before the default's); built-in rules come last.

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
        return cls(rules)

    def match(self, event: dict[str, Any]) -> FingerprintMatch | None:
        """Find the first rule that matches a normalized event. Cost: a few µs per distinct value that rules read."""
        if not self.rules:
            return None
        facts = EventValues(event)
        mask = self._index.candidates(facts)
        while mask:
            lowest = mask & -mask
            position = lowest.bit_length() - 1
            if self._conditions[position].holds(facts):
                rule = self.rules[position]
                title = None if rule.title is None else expand(rule.title, event)
                return FingerprintMatch(rule, list(rule.values), title)
            mask ^= lowest
        return None
