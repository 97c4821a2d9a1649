"""`scrubbing.toml`: which rules are in force for a project."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from pipeline.model.errors import InvalidRulesError, RuleError
from pipeline.model.rule_file import Layer
from pipeline.model.toml_file import find_key, read_layers
from pipeline.scrubbing.defaults import DefaultRules
from pipeline.scrubbing.places import Application
from pipeline.scrubbing.rules import RuleSpec, ScrubbingRuleError, build_rule, resolve
from pipeline.scrubbing.selectors import SelectorError, parse_selector


class ScrubbingFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of `scrubbing.toml`. An empty file leaves the default rules in force."""

    enabled: bool = True
    """false turns all scrubbing off, the file's own rules included."""
    default_rules: bool = True
    """Keys such as password and token, and values such as card numbers."""
    ip_addresses: bool = False
    """Take out the user's address, and addresses in texts."""
    sensitive_fields: tuple[str, ...] = ()
    """Parts of keys whose values go as well."""
    safe_fields: tuple[str, ...] = ()
    """Keys whose values the default rules leave alone."""
    rules: dict[str, RuleSpec] = {}
    """Rules by name, as in Sentry's advanced data scrubbing."""
    applications: dict[str, tuple[str, ...]] = {}
    """Selector to the names of rules."""

    def defaults(self) -> DefaultRules:
        """Give the default rules in force."""
        return DefaultRules(True, self.default_rules, self.ip_addresses, self.sensitive_fields, self.safe_fields)


def read_scrubbing_file(layers: Sequence[Layer]) -> ScrubbingFile:
    """Read the file of each layer and check all that it names; the later layer's values win. Raises InvalidRulesError."""
    result = read_layers("scrubbing.toml", layers, ScrubbingFile)
    for layer in layers:
        if "scrubbing.toml" in layer:
            _check(read_layers("scrubbing.toml", [layer], ScrubbingFile), layer)
    return result


def _check(own: ScrubbingFile, layer: Layer) -> None:
    """Check one file's rules and selectors, and name the line of each that cannot be used."""
    file = layer["scrubbing.toml"]
    errors = []
    for name, spec in own.rules.items():
        try:
            build_rule(name, spec)
        except ScrubbingRuleError as error:
            errors.append(RuleError(file.path, find_key(file.text, name), None, f"rule {name}: {error}"))
    for selector in own.applications:
        try:
            parse_selector(selector)
        except SelectorError as error:
            line = next((number for number, text in enumerate(file.text.splitlines(), 1) if selector in text), None)
            errors.append(RuleError(file.path, line, None, f"selector: {error}"))
    if errors:
        raise InvalidRulesError(errors)


def own_applications(applications: Mapping[str, Sequence[str]], rules: Mapping[str, RuleSpec]) -> list[Application]:
    """Make a project's own applications ready. Raises SelectorError and ScrubbingRuleError."""
    return [Application(parse_selector(selector), resolve(tuple(names), rules)) for selector, names in applications.items()]
